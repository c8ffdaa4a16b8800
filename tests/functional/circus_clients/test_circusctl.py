"""circus's own command line operates our daemon: the same requests, and answers that it can show."""

from __future__ import annotations

import os
import signal
import subprocess
import threading

import pytest

from tests.conftest import SLOWNESS, until
from tests.functional.circus_clients.conftest import Circusctl, circus_script
from tests.functional.daemon import Daemon
from tests.functional.evidence import alive

# Each of circus's commands, in an order in which all of them can be done; `listen` and `ipython` are told of below.
TRIED: list[tuple[tuple[str, ...], str | None]] = [  # what is typed, what is shown (None: whatever)
    (("list",), "w,web"),
    (("status",), "w: active\nweb: active"),
    (("status", "web"), "active"),
    (("numprocesses",), "3"),
    (("numprocesses", "w"), "2"),
    (("numwatchers",), "2"),
    (("options", "w"), None),
    (("get", "w", "numprocesses"), "numprocesses: 2"),
    (("globaloptions",), None),
    (("stats",), None),
    (("dstats",), None),
    (("listsockets",), ""),
    (("incr", "web"), "2"),
    (("decr", "web"), "1"),
    (("set", "w", "numprocesses", "1", "graceful_timeout", "5"), "ok"),
    (("signal", "web", "usr1"), "ok"),
    (("add", "--start", "new", "sleep", "1000"), "ok"),
    (("kill", "w"), "ok"),
    (("restart", "--waiting", "w"), "ok"),
    (("reload", "web"), "ok"),
    (("reload", "--waiting", "--terminate", "web"), "ok"),
    (("reload", "--waiting", "--sequential"), "ok"),
    (("reloadconfig", "--waiting"), "ok"),
    (("stop", "--waiting", "web"), "ok"),
    (("start", "--waiting", "web"), "ok"),
    (("rm", "new"), "ok"),
    (("quit", "--waiting"), "ok"),
]


def test_every_command_of_circus_is_served(running: Daemon, circusctl: Circusctl, program: Circusctl) -> None:
    names = program("from circus.commands import get_commands; print(*get_commands())").split()
    assert {words[0] for words, _ in TRIED} == set(names) - {"listen", "ipython"}
    for words, shown in TRIED:
        said = circusctl(*words)
        assert shown is None or said == shown, words
        if words[0] == "rm":
            running.ctl("wait", "new", "--state", "gone")
            assert running.ctl("status")["statuses"] == {"w": "active", "web": "active"}
            wanted = {"numprocesses": 1, "graceful_timeout": 5.0}
            assert running.ctl("get", "w", *wanted)["options"] == wanted
    assert running.process is not None
    assert running.process.wait(30 * SLOWNESS) == 0


def test_what_circus_asks_is_answered_as_it_expects(running: Daemon, circusctl: Circusctl) -> None:
    pids = [row["pid"] for row in running.workers("w")]
    assert circusctl("list", "w") == ",".join(map(str, pids))
    assert "graceful_timeout: 30.0" in circusctl("options", "w").splitlines()
    shown = dict(line.split(": ", 1) for line in circusctl("globaloptions").splitlines())
    assert shown["endpoint"].startswith("ipc://") and shown["pubsub_endpoint"] == shown["stats_endpoint"]
    assert {"check_delay", "multicast_endpoint"} < set(shown)
    assert circusctl("kill", "w", str(pids[0])) == "ok"
    until(lambda: not alive(pids[0]))
    assert alive(pids[1])


@pytest.mark.parametrize("how", [("w",), (), ("--extended", "w")])
def test_circus_shows_our_stats(running: Daemon, circusctl: Circusctl, how: tuple[str, ...]) -> None:
    lines = circusctl("stats", *how).splitlines()
    assert lines[0] == "w:"
    for row, line in zip(running.workers("w"), lines[1:3], strict=True):
        assert line.startswith(f"{row['pid']}: {row['pid']}  sleep 1000 root 0 ")


def test_circus_shows_one_process_and_our_own(running: Daemon, circusctl: Circusctl) -> None:
    (pid,) = (row["pid"] for row in running.workers("web"))
    assert f"{pid}  sleep 1000" in circusctl("stats", "web", str(pid))
    assert f"{running.pid}  " in circusctl("dstats")


def test_circus_shows_our_refusals(endpoint: str) -> None:
    command = [*circus_script("circusctl"), "--endpoint", endpoint, "ipython"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60 * SLOWNESS, check=False)
    assert "`debug` shows its state" in done.stdout + done.stderr


def test_circus_listens_to_what_happens(running: Daemon, pubsub: str) -> None:
    command = [*circus_script("circusctl"), "--endpoint", pubsub, "listen", "watcher.w."]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    listening = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
    assert listening.stdout is not None
    lines: list[str] = []
    reader = threading.Thread(target=lambda: lines.extend(iter(listening.stdout.readline, "")), daemon=True)  # type: ignore[union-attr]
    reader.start()
    try:
        for _ in range(100):  # a PUB tells nobody when a subscription has come
            running.ctl("restart", "w")
            if len(lines) >= 6:
                break
        running.ctl("restart", "web")
        running.ctl("stop", "w")
        until(lambda: any("watcher.w.stop" in line for line in lines))
    finally:
        listening.send_signal(signal.SIGINT)
        listening.wait(20 * SLOWNESS)
        reader.join(20)
        listening.stdout.close()
    events = {line.split(":")[0].strip("b'").rpartition(".")[2] for line in lines}
    assert events == {"kill", "reap", "spawn", "stop"}
    assert all("watcher.w." in line for line in lines)
