"""circus's own command line operates our daemon: the same requests, and answers that it can show."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from collections.abc import Callable

import pytest

from tests.conftest import SLOWNESS
from tests.functional.conftest import StartDaemon
from tests.functional.daemon import Daemon

pytestmark = [
    pytest.mark.host_may_lack("circus is a tool of development"),
    pytest.mark.skipif(importlib.util.find_spec("circus") is None, reason="circus is not installed"),
]
SLEEP = ["sleep", "1000"]


@pytest.fixture
def running(daemon: StartDaemon) -> Daemon:
    started = daemon(watchers={"w": {"cmd": SLEEP, "numprocesses": 2}, "web": {"cmd": SLEEP}})
    started.wait_phase("w", count=2)
    return started


@pytest.fixture
def circusctl(running: Daemon) -> Callable[..., str]:
    endpoint = f"ipc://{running.directory}/run/{running.name}/control.sock"

    def call(*arguments: str) -> str:
        code = "import sys, circus.circusctl as c; sys.exit(c.main())"
        command = [sys.executable, "-W", "ignore", "-c", code, "--endpoint", endpoint, "--timeout", "30", *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60 * SLOWNESS, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout.strip()

    return call


def test_what_circus_asks_is_answered_as_it_expects(running: Daemon, circusctl: Callable[..., str]) -> None:
    pids = [row["pid"] for row in running.workers("w")]
    assert circusctl("list") == "w,web"
    assert circusctl("list", "w") == ",".join(map(str, pids))
    assert circusctl("status").splitlines() == ["w: active", "web: active"]
    assert circusctl("status", "web") == "active"
    assert circusctl("numprocesses") == "3"
    assert circusctl("numprocesses", "w") == "2"
    assert circusctl("numwatchers") == "2"
    assert "graceful_timeout: 30.0" in circusctl("options", "w").splitlines()
    assert circusctl("get", "w", "numprocesses") == "numprocesses: 2"
    assert "endpoint: ipc://" in circusctl("globaloptions")


@pytest.mark.parametrize("how", [("w",), (), ("--extended", "w")])
def test_circus_shows_our_stats(running: Daemon, circusctl: Callable[..., str], how: tuple[str, ...]) -> None:
    lines = circusctl("stats", *how).splitlines()
    assert lines[0] == "w:"
    for row, line in zip(running.workers("w"), lines[1:3], strict=True):
        assert line.startswith(f"{row['pid']}: {row['pid']}  sleep 1000 root 0 ")


def test_circus_shows_one_process_and_our_own(running: Daemon, circusctl: Callable[..., str]) -> None:
    (pid,) = (row["pid"] for row in running.workers("web"))
    assert f"{pid}  sleep 1000" in circusctl("stats", "web", str(pid))
    assert f"{running.pid}  " in circusctl("dstats")


def test_circus_changes_watchers(running: Daemon, circusctl: Callable[..., str]) -> None:
    assert circusctl("incr", "web") == "2"
    assert circusctl("decr", "web") == "1"
    for arguments in (
        ("set", "w", "numprocesses", "1", "graceful_timeout", "5"),
        ("add", "--start", "new", "sleep", "1000"),
        ("signal", "new", "usr1"),
        ("stop", "--waiting", "web"),
        ("restart", "--waiting", "w"),
        ("rm", "new"),
    ):
        assert circusctl(*arguments) == "ok", arguments
    running.ctl("wait", "new", "--state", "gone")
    assert running.ctl("status")["statuses"] == {"w": "active", "web": "stopped"}
    assert running.ctl("get", "w", "numprocesses", "graceful_timeout")["options"] == {
        "numprocesses": 1,
        "graceful_timeout": 5.0,
    }


def test_circus_makes_the_daemon_quit(running: Daemon, circusctl: Callable[..., str]) -> None:
    assert circusctl("quit") == "ok"
    assert running.process is not None
    assert running.process.wait(30 * SLOWNESS) == 0
