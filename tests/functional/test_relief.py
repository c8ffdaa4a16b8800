"""The host is short of memory, by the kernel's files as the daemon sees them: who ends, who stays, who waits.

A test can't make a host short of memory that others use, so the daemon runs where those two files are ours to write.
"""

from __future__ import annotations

import itertools
import os
import shlex
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import until
from tests.functional.daemon import PROGRAM, Daemon
from tests.functional.evidence import alive, arbiter_of, python

POLICY = {"full_at": 50, "lasting": 1, "calm_at": 10, "calm_after": 1, "pause": 600}
QUIET = {"backoff": {"initial": 0.1}, "min_uptime": 0}


class Kernel:
    """/proc/pressure/memory and /proc/vmstat for who is started by `program`."""

    def __init__(self, directory: Path) -> None:
        self._pressure, self._vmstat = directory / "pressure", directory / "vmstat"
        self._scanned = itertools.count(1000)
        self.full(0)
        binds = f"mount --bind {self._pressure} /proc/pressure/memory && mount --bind {self._vmstat} /proc/vmstat"
        script = f'[ "$1" = run ] || exec {PROGRAM} "$@"\nexec unshare --mount sh -c {{}} sh "$@"\n'
        inner = shlex.quote(f'{binds} && exec {PROGRAM} "$@"')
        self.program = directory / "circus-cg"
        self.program.write_text("#!/bin/sh\n" + script.format(inner))
        self.program.chmod(0o700)
        works = subprocess.run(["unshare", "--mount", "sh", "-c", binds], capture_output=True, check=False)
        if works.returncode != 0:
            pytest.skip(f"cannot put files in place of the kernel's: {works.stderr.decode().strip()}")

    def full(self, percent: float) -> bool:
        """From now on so much of the time everything waits for memory, and reclaim is at work."""
        line = "avg10={0:.2f} avg60={0:.2f} avg300={0:.2f} total=1"
        text = "".join(f"{kind} {line.format(percent)}\n" for kind in ("some", "full"))
        self._pressure.write_text(text)  # in place: it is mounted
        self._vmstat.write_text(f"pgscan_kswapd {next(self._scanned)}\npgscan_direct 0\n")
        return False


@pytest.fixture
def kernel(tmp_path: Path) -> Kernel:
    return Kernel(tmp_path)


@pytest.fixture
def running(tmp_path: Path, scratch_name: str, kernel: Kernel) -> Iterator[Daemon]:
    """`web` is the most important; of `batch` worker 2 is the largest."""
    grow = python("import sys, time; b = b'x' * (int(sys.argv[1]) << 22); time.sleep(1000)")
    watchers = {
        "web": {"cmd": [*grow, "9"], "priority": 10},
        "batch": {"cmd": [*grow, "$(circus.wid)"], "numprocesses": 2, **QUIET},
    }
    daemon = Daemon(tmp_path, scratch_name, {"watchers": watchers, "pressure": POLICY})
    daemon.program = str(kernel.program)
    with daemon:
        yield daemon


@pytest.mark.host_may_lack("a kernel with PSI, and mount namespaces")
def test_the_least_important_ends_and_comes_back_when_the_pressure_is_over(running: Daemon, kernel: Kernel) -> None:
    (web,) = running.wait_phase("web")
    before = {row["wid"]: row["pid"] for row in running.wait_phase("batch", count=2)}
    until(lambda: kernel.full(80) or not alive(before[2]), 30, "an end for the host's sake")
    (told,) = running.ctl("events", "--watcher", "batch", "--kind", "exit")["events"]
    assert (told["wid"], told["exit"]["reason"]) == (2, "pressure") and "priority 0" in told["exit"]["detail"]

    def held() -> bool:
        kernel.full(80)
        decisions = running.ctl("events", "--kind", "decision")["events"]
        return [(one["verdict"], one["watcher"], one["wid"]) for one in decisions] == [
            ("relieve", "batch", 2),
            ("hold", "batch", 2),
        ]

    until(held, 30, "a restart that waits")
    rows = {row["wid"]: row for row in running.workers("batch")}
    assert rows[2]["phase"] == "backoff" and rows[1]["pid"] == before[1]
    kernel.full(0)
    again = {row["wid"]: row for row in running.wait_phase("batch", count=2, seconds=30)}
    assert again[1]["pid"] == before[1] and again[2]["generation"] == 2
    assert running.wait_phase("web")[0]["pid"] == web["pid"]


@pytest.mark.host_may_lack("a kernel with PSI, and mount namespaces")
def test_a_restart_goes_on_waiting_over_the_arbiters_death_and_an_operators_start_ends_that(
    running: Daemon, kernel: Kernel
) -> None:
    before = {row["wid"]: row["pid"] for row in running.wait_phase("batch", count=2)}
    until(lambda: kernel.full(80) or not alive(before[2]), 30, "an end for the host's sake")
    until(lambda: running.ctl("events", "--kind", "decision")["events"][-1]["verdict"] == "hold", 30, "the wait")
    arbiter = arbiter_of(running.pid)
    assert arbiter is not None
    os.kill(arbiter, signal.SIGKILL)
    until(lambda: arbiter_of(running.pid) not in (None, arbiter), 20, "another arbiter")
    until(
        lambda: (
            kernel.full(80)
            or [one["verdict"] for one in running.ctl("events", "--kind", "decision")["events"]][-1:] == ["hold"]
        ),
        30,
        "the next arbiter's word that it waits",
    )
    assert next(row for row in running.workers("batch") if row["wid"] == 2)["phase"] == "backoff"
    running.ctl("start", "batch")
    running.wait_phase("batch", count=2)
