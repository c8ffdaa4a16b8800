"""The shell: verbs one after the other, completed and remembered, but for what may be secret."""

from __future__ import annotations

import os
import pty
import select
import time
from contextlib import suppress
from pathlib import Path

from tests.conftest import SLOWNESS
from tests.functional.conftest import StartDaemon
from tests.functional.control.conftest import StartAfar
from tests.functional.daemon import PROGRAM, Daemon

SLEEP = {"cmd": ["sleep", "1000"]}


class Terminal:
    """A program on a terminal of its own."""

    def __init__(self, running: Daemon, *arguments: str, home: Path) -> None:
        environment = {**running.environment, "XDG_STATE_HOME": str(home), "TERM": "xterm", "NO_COLOR": "1"}
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.execve(PROGRAM, [PROGRAM, *arguments], environment)
        self.shown = ""

    def type(self, text: str) -> None:
        os.write(self.fd, text.encode())

    def wait_for(self, text: str, seconds: float = 10) -> str:
        """What is shown up to and with `text`; it is taken away."""
        end = time.monotonic() + seconds * SLOWNESS
        while text not in self.shown:
            assert time.monotonic() < end, f"{text!r} never came; there is {self.shown!r}"
            if select.select([self.fd], [], [], 0.1)[0]:
                self.shown += os.read(self.fd, 1 << 16).decode(errors="replace")
        before, _, self.shown = self.shown.partition(text)
        return before

    def interrupt_for(self, text: str) -> None:
        """Ctrl-C, again where nobody saw it: between its prompt and its wait for a key Python hears of none until one
        is pressed.
        """
        for _ in range(10):
            self.type("\x03")
            with suppress(AssertionError):
                self.wait_for(text, seconds=1)
                return
        self.wait_for(text)

    def end(self) -> int:
        _, status = os.waitpid(self.pid, 0)
        os.close(self.fd)
        return os.waitstatus_to_exitcode(status)


def test_a_shell_runs_verbs_and_goes_on_after_mistakes(daemon: StartDaemon) -> None:
    running = daemon(watchers={"web": SLEEP, "db": SLEEP})
    done = running.command("shell", stdin="status web\n\nstatsu\nstop nobody\n'\nshell\nexit\nquit\n")
    assert done.returncode == 0
    assert done.stdout.split() == ["WATCHER", "STATUS", "web", "active"]
    for told in ("did you mean 'stats'", "program nobody not found", "cannot read this line", "this is the shell"):
        assert told in done.stderr
    assert running.ctl("status")["statuses"] == {"web": "active", "db": "active"}


def test_a_terminal_completes_remembers_and_asks_before_the_end(daemon: StartDaemon, tmp_path: Path) -> None:
    running = daemon(watchers={"web": SLEEP, "webber": SLEEP})
    terminal = Terminal(running, "ctl", "--name", running.name, home=tmp_path)
    prompt = f"{running.name}> "
    terminal.wait_for(prompt)
    terminal.type("statu\twebb\t\n")
    assert "webber" in terminal.wait_for(prompt)
    terminal.type("incr web\n")
    terminal.wait_for("web: 2 workers")
    terminal.wait_for(prompt)
    terminal.type("set web env.TOKEN=s3cret\n")
    terminal.wait_for("changed")
    terminal.wait_for(prompt)
    terminal.type("incr webb\t\n")
    terminal.wait_for("webber: 2 workers")
    terminal.wait_for(prompt)
    terminal.type("half a line")
    terminal.wait_for("half a line")
    terminal.interrupt_for(prompt)
    terminal.type("quit\n")
    terminal.wait_for("`exit` leaves the shell")
    terminal.type("n\n")
    terminal.wait_for(prompt)
    terminal.type("\x04")
    assert terminal.end() == 0
    history = tmp_path / "circus-cg" / "history"
    assert history.stat().st_mode & 0o777 == 0o600
    assert "incr web" in history.read_text() and "s3cret" not in history.read_text()
    assert running.ctl("status")["statuses"].keys() == {"web", "webber"}


def test_a_shell_works_from_afar(afar: StartAfar) -> None:
    running = afar()
    done = running.ctl(running.own_key("alice", "observe"), "shell", stdin="list\nstop web\n")
    assert (done.returncode, done.stdout.split()) == (0, ["db", "web", "web-2"])
    assert "may observe" in done.stderr
