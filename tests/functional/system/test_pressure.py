"""When the whole machine is short of memory, and what only a full-grown kernel tells or grants."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.conftest import until
from tests.functional.evidence import alive, lines_of, python, quoted, sh
from tests.functional.system.conftest import StartService
from tests.functional.system.service import in_guest_of_our_own

pytestmark = in_guest_of_our_own
SLEEP = ["sleep", "1000"]


@pytest.mark.alone("all of the machine's memory is taken")
@pytest.mark.timeout(240)
def test_want_of_memory_on_the_host_kills_the_hungry_worker_and_neither_daemon_nor_siblings(
    service: StartService,
) -> None:
    """The machine has no swap: who takes all of it has no limit of ours, and the verdict says so."""
    hungry = python("import time; time.sleep(1); b = []\nwhile True: b.append(b'x' * (64 << 20))")
    flapping = {"attempts": 1, "retry_in": 1000}  # once is enough
    running = service(
        {"w": {"cmd": SLEEP, "numprocesses": 2}, "hungry": {"cmd": hungry, "flapping": flapping, "min_uptime": 60}}
    )
    keeper, arbiter, calm = running.pid, running.arbiter(), {row["pid"] for row in running.workers(2)}
    assert int(Path(f"/proc/{keeper}/oom_score_adj").read_text()) == -900
    last = running.first_end("hungry")
    assert (last["signal"], "host" in f"{last['reason']} {last['detail']}") == (9, True), last
    assert {row["pid"] for row in running.workers(2)} == calm
    assert (running.pid, running.arbiter(), running.show("NRestarts")) == (keeper, arbiter, "0")


@pytest.mark.skipif(os.environ.get("CIRCUS_CG_EXPECT_LAYOUT") == "v1", reason="pure v1 has no pressure of a group")
def test_pressure_in_a_workers_group_is_told_by_the_kernel(service: StartService) -> None:
    """Two that spin on a tenth of a CPU wait for each other."""
    spin = {"cmd": sh("while :; do :; done & while :; do :; done"), "limits": {"cpu_max": 0.1}}
    running = service({"w": spin})
    (row,) = running.workers(1)
    pressure = Path("/sys/fs/cgroup") / row["cgroup"].lstrip("/") / "cpu.pressure"
    found = (
        pressure
        if pressure.exists()
        else next(Path("/sys/fs/cgroup/unified").glob(f"**/{running.name}/w/*/cpu.pressure"))
    )

    def total() -> int:
        return int(found.read_text().split("total=")[1].split()[0])

    before = total()
    until(lambda: total() > before + 100_000, 20, "a tenth of a second of waiting")


def test_a_worker_may_have_more_descriptors_and_a_lower_oom_score_than_the_daemon(
    service: StartService, tmp_path: Path
) -> None:
    seen = tmp_path / "seen"
    look = f"ulimit -Hn >> {quoted(seen)}; cat /proc/self/oom_score_adj >> {quoted(seen)}; exec sleep 1000"
    watcher = {"cmd": sh(look), "rlimits": {"nofile": {"soft": 1024, "hard": 600_000}}, "oom_score_adj": -950}
    running = service({"w": watcher})
    running.workers(1)
    assert lines_of(seen) == ["600000", "-950"]
    assert alive(running.pid)
