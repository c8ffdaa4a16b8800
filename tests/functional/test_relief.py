"""The host is short of memory, by the kernel's files as the daemon sees them: who ends, who stays, who waits.

A test can't make a host short of memory that others use, so the daemon runs where those two files are ours to write.
"""

from __future__ import annotations

import itertools
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import until
from tests.functional.daemon import Daemon
from tests.functional.evidence import alive, arbiter_of, python
from tests.functional.proc import Proc

POLICY = {"full_at": 50, "lasting": 1, "calm_at": 10, "calm_after": 1, "pause": 600}
QUIET = {"backoff": {"initial": 0.1}, "min_uptime": 0}


class Kernel(Proc):
    """What it tells of memory."""

    def __init__(self, directory: Path) -> None:
        self._scanned = itertools.count(1000)
        super().__init__(directory, {"pressure/memory": _pressure(0), "vmstat": self._vmstat()})
        if self.obstacle is not None:
            pytest.skip(f"cannot put files in place of the kernel's: {self.obstacle}")

    def full(self, percent: float) -> bool:
        """From now on so much of the time everything waits for memory, and reclaim is at work."""
        self.say("pressure/memory", _pressure(percent))
        self.say("vmstat", self._vmstat())
        return False

    def _vmstat(self) -> str:
        return f"pgscan_kswapd {next(self._scanned)}\npgscan_direct 0\n"


def _pressure(percent: float) -> str:
    numbers = f"avg10={percent:.2f} avg60={percent:.2f} avg300={percent:.2f} total=1"
    return f"some {numbers}\nfull {numbers}\n"


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
