"""Who uses what: on a terminal, in a pipe, and as JSON; CPU and throttling are rates, memory is against its limit."""

from __future__ import annotations

import json
import os
import pty
import select
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import SLOWNESS, until
from tests.functional.conftest import StartDaemon
from tests.functional.daemon import PROGRAM, Daemon
from tests.functional.evidence import python, sh

SLEEP = ["sleep", "1000"]
BURN = {"cmd": sh("while :; do :; done"), "limits": {"cpu_max": 0.1}}
HOLD = {
    "cmd": python("x = bytearray(b'x' * (20 << 20)); import signal; signal.pause()"),
    "numprocesses": 2,
    "limits": {"memory_max": "64M"},
}


def top(running: Daemon, *arguments: str) -> str:
    command = [PROGRAM, "top", "--name", running.name, *arguments]
    done = subprocess.run(
        command, env=running.environment, capture_output=True, text=True, timeout=30 * SLOWNESS, check=True
    )
    return done.stdout


def rows_of(running: Daemon, *arguments: str) -> dict[str, dict[str, Any]]:
    found = json.loads(top(running, "--once", "--json", *arguments))["watchers"]
    return {row["name"]: row for watcher in found for row in (watcher, *watcher["workers"])}


@pytest.fixture
def busy(daemon: StartDaemon) -> Daemon:
    running = daemon(watchers={"burn": BURN, "hold": HOLD, "off": {"cmd": SLEEP, "autostart": False}})
    running.wait_phase("burn")
    running.wait_phase("hold", count=2)
    return running


def test_once_tells_rates_limits_and_restarts_of_watchers_and_workers(busy: Daemon) -> None:
    until(lambda: (rows_of(busy)["hold.2"]["memory"] or 0) > 20 << 20, why="its memory")
    os.kill(busy.workers("hold")[0]["pid"], signal.SIGKILL)
    until(lambda: [row["restarts"] for row in busy.workers("hold")] == [1, 0])
    busy.wait_phase("hold", count=2)
    rows = rows_of(busy)
    assert list(rows)[:2] == ["burn", "burn.1"], "the busiest first"
    for name in ("burn", "burn.1"):
        assert 3 < rows[name]["cpu"] < 20 and rows[name]["throttled"] > 0
    assert rows["burn.1"]["cpu_max"] == 0.1
    assert 20 < rows["hold.2"]["memory_percent"] < 70 and rows["hold.2"]["memory_max"] == 64 << 20
    assert (rows["hold"]["restarts"], rows["hold.1"]["restarts"], rows["hold.2"]["restarts"]) == (1, 1, 0)
    assert rows["off"]["state"] == "stopped" and rows["off"]["workers"] == []
    assert set(rows_of(busy, "--no-workers", "hold")) == {"hold"}


def test_a_table_is_sorted_by_the_key_that_is_asked_for(busy: Daemon) -> None:
    def first_column(*arguments: str) -> list[str]:
        return [line.split()[0] for line in top(busy, "--once", "--no-workers", *arguments).splitlines() if line]

    assert first_column("--sort", "name") == ["NAME", "burn", "hold", "off"]
    until(lambda: first_column("--sort", "memory")[1] == "hold", why="the largest first")
    assert first_column("--sort", "cpu")[1] == "burn"


def test_in_a_pipe_it_goes_on_until_it_is_interrupted(busy: Daemon) -> None:
    command = [PROGRAM, "top", "--name", busy.name, "--json", "--delay", "200ms"]
    with subprocess.Popen(command, env=busy.environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for _ in range(3):
            assert json.loads(process.stdout.readline())["watchers"]
        process.send_signal(signal.SIGINT)
        assert process.wait(10 * SLOWNESS) == 0


@pytest.mark.parametrize("terminal", ["vt100", "xterm-256color"])
def test_a_terminal_with_or_without_colour_shows_it_and_obeys_its_keys(busy: Daemon, terminal: str) -> None:
    process, screen = on_a_terminal(busy, terminal)
    try:
        screen.wait_for("burn.1", "sort: c cpu", "by cpu")
        screen.type("n")
        screen.wait_for("name")  # what is the same on the screen is not written again
        screen.type("w")
        screen.type("q")
        assert process.wait(10 * SLOWNESS) == 0
    finally:
        process.kill()
        process.wait()
        os.close(screen.fd)


def test_a_terminal_that_can_not_be_written_all_over_gets_one_table_after_the_other(busy: Daemon) -> None:
    process, screen = on_a_terminal(busy, "dumb")
    try:
        screen.wait_for("NAME", "burn.1")
        process.send_signal(signal.SIGINT)
        assert process.wait(10 * SLOWNESS) == 0
        assert "\x1b[?1049h" not in screen.text
    finally:
        process.kill()
        process.wait()
        os.close(screen.fd)


class Screen:
    def __init__(self, fd: int) -> None:
        self.fd, self.text = fd, ""

    def wait_for(self, *words: str) -> None:
        def shown() -> bool:
            while select.select([self.fd], [], [], 0)[0]:
                self.text += os.read(self.fd, 65536).decode(errors="replace")
            return all(word in self.text for word in words)

        until(shown, why=f"{words} on the screen")
        self.text = ""

    def type(self, key: str) -> None:
        os.write(self.fd, key.encode())


def on_a_terminal(running: Daemon, terminal: str) -> tuple[subprocess.Popen[bytes], Screen]:
    ours, theirs = pty.openpty()
    environment = {**running.environment, "TERM": terminal, "LINES": "40", "COLUMNS": "160"}
    command = [PROGRAM, "top", "--name", running.name, "--delay", "300ms"]
    process = subprocess.Popen(command, env=environment, stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    return process, Screen(ours)


def test_who_uses_none_of_it_imports_none_of_it() -> None:
    names = "{'curses', 'sqlite3', 'prometheus_client', 'rich'}"
    for modules in ("circus_cg.cli.main, circus_cg.cli.ctl, circus_cg.cli.ctl.reports", "circus_cg.arbiter.main"):
        code = f"import sys, {modules}; assert not {names} & set(sys.modules)"
        subprocess.run([Path(PROGRAM).with_name("python"), "-c", code], check=True, timeout=30 * SLOWNESS)
