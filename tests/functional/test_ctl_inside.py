"""The daemon's own state, for who looks for a fault."""

from __future__ import annotations

import os
import signal

import pytest

from tests.conftest import until
from tests.functional.conftest import StartDaemon
from tests.functional.daemon import Refused
from tests.functional.evidence import arbiter_of

SLEEP = ["sleep", "1000"]


def test_debug_shows_stacks_queues_and_what_the_keeper_holds(daemon: StartDaemon) -> None:
    running = daemon(watchers={"w": {"cmd": SLEEP, "numprocesses": 3, "env": {"TOKEN": "s3cret"}}})
    running.wait_phase("w", count=3)
    found = running.ctl("debug")
    arbiter, keeper = found["arbiter"], found["keeper"]
    assert (keeper["pid"], arbiter["pid"]) == (running.pid, arbiter_of(running.pid))
    assert (keeper["slots"], keeper["watched"], keeper["failures"]) == ({"running": 3}, 3, 0)
    assert arbiter["slots"] == {"w": {"ready": 3}}
    assert any("arbiter/main.py" in place for stack in arbiter["tasks"].values() for place in stack)
    assert "MainThread" in arbiter["threads"]
    assert keeper["descriptors"] > 5 and arbiter["memory"] > 1 << 20
    text = running.command("debug").stdout
    assert "keeper:" in text and "s3cret" not in text


def test_the_log_level_holds_at_once_and_for_the_next_arbiter(daemon: StartDaemon) -> None:
    running = daemon(watchers={"w": {"cmd": SLEEP}})
    running.wait_phase("w")
    assert running.ctl("loglevel")["level"] == "info"
    assert "because" in running.output
    running.ctl("loglevel", "error")
    quiet = len(running.output)
    running.ctl("restart", "w")
    assert "w.1" not in running.output[quiet:]
    arbiter = arbiter_of(running.pid)
    assert arbiter is not None
    os.kill(arbiter, signal.SIGKILL)
    until(lambda: arbiter_of(running.pid) not in (arbiter, None))
    running.wait_answering()
    assert running.ctl("loglevel")["level"] == "error"
    running.ctl("loglevel", "debug")
    before = len(running.output)
    running.ctl("restart", "w")
    assert "w.1 ready -> stopping because Restart(" in running.output[before:]


def test_circus_commands_that_mean_nothing_here_say_what_does(daemon: StartDaemon) -> None:
    running = daemon(watchers={})
    assert running.ctl("listsockets") == {"status": "ok", "sockets": []}
    with pytest.raises(Refused, match="`debug` shows its state"):
        running.ctl("ipython")
