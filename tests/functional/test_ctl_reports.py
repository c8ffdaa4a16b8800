"""What a running daemon tells: counts, options, usage; as tables, as JSON, live on a terminal; and how it exits."""

from __future__ import annotations

import json
import os
import pty
import select
import signal
import subprocess
import time
from pathlib import Path
from typing import Self

import pytest
import zmq

from circus_cg.rpc.client import Client
from tests.conftest import SLOWNESS, until
from tests.functional.conftest import StartDaemon
from tests.functional.daemon import PROGRAM, Daemon
from tests.functional.evidence import arbiter_of, python, sh

SLEEP = ["sleep", "1000"]


def client(running: Daemon) -> Client:
    return Client(f"ipc://{running.directory}/run/{running.name}/control.sock", 30 * SLOWNESS, time.monotonic)


def test_counts_and_lists(daemon: StartDaemon) -> None:
    running = daemon(watchers={"a": {"cmd": SLEEP, "numprocesses": 2}, "b": {"cmd": SLEEP}, "c": {"cmd": SLEEP}})
    running.ctl("stop", "c")
    rows = running.wait_phase("a", count=2)
    assert running.ctl("list") == {"watchers": ["a", "b", "c"]}
    assert running.ctl("list", "a") == {"pids": [row["pid"] for row in rows]}
    assert running.ctl("numprocesses") == {"numprocesses": 3}
    assert running.ctl("numprocesses", "a") == {"numprocesses": 2, "watcher_name": "a"}
    assert running.ctl("numwatchers") == {"numwatchers": 3}


def test_options_are_what_holds_now(daemon: StartDaemon) -> None:
    running = daemon(watchers={"w": {"cmd": SLEEP, "limits": {"memory_max": "64M"}, "env": {"A": "1"}}})
    running.ctl("incr", "w", "2")
    options = running.ctl("options", "w")["options"]
    assert (options["numprocesses"], options["env"], options["cmd"]) == (3, {"A": "1"}, SLEEP)
    assert options["limits"]["memory_max"] == 64 << 20
    (endpoint,) = running.ctl("globaloptions", "endpoint")["options"].values()
    assert Path(endpoint.removeprefix("ipc://")).is_socket()


def test_stats_are_of_the_whole_group_and_say_who_works(daemon: StartDaemon) -> None:
    """The busy one works in a child: its own process would show nothing."""
    hold = python("b = bytearray(40 << 20)\nimport time\ntime.sleep(1000)")
    watchers = {"busy": {"cmd": sh("while :; do :; done & wait")}, "calm": {"cmd": SLEEP}, "large": {"cmd": hold}}
    running = daemon(watchers=watchers)

    def working() -> bool:
        infos = running.ctl("stats")["infos"]
        (busy,), (calm,), (large,) = (infos[name].values() for name in ("busy", "calm", "large"))
        return busy["cpu"] > 10 > calm["cpu"] and large["memory_current"] > 40 << 20 > calm["memory_current"]

    until(working, 20, "the busy one at more than 10 % of a CPU")
    totals = running.ctl("stats", "large")["totals"]
    assert totals["large"]["memory_current"] > 40 << 20


def test_a_command_line_that_is_not_utf8_is_shown_by_the_same_arbiter(daemon: StartDaemon) -> None:
    odd = "import os; os.execv('/bin/sleep', [b'sl\\xe9p', b'2000'])"
    running = daemon(watchers={"w": {"cmd": python(odd)}})
    running.wait_phase("w")
    arbiter = arbiter_of(running.pid)

    def shown() -> list[str]:
        infos = client(running).call("stats", name="w", extended=True)["info"].values()
        return [info["cmdline"] for info in infos]

    until(lambda: shown() == ["sl\\xe9p 2000"])
    assert arbiter_of(running.pid) == arbiter


def test_extended_stats_have_circuss_fields(daemon: StartDaemon) -> None:
    running = daemon(watchers={"w": {"cmd": sh("sleep 1000 & exec sleep 2000"), "nice": 3}})
    running.wait_phase("w")
    until(lambda: len(client(running).call("stats", name="w", extended=True)["info"]) == 1)
    pid = running.workers("w")[0]["pid"]
    info = client(running).call("stats", name="w", process=pid, extended=True)["info"]
    fields = {"pid", "cmdline", "username", "nice", "cpu", "mem", "mem_info1", "mem_info2", "ctime", "create_time"}
    fields |= {"age", "started", "wid", "children"}
    assert not [field for field in fields if field not in info]
    assert (info["pid"], info["cmdline"], info["nice"], info["wid"]) == (pid, "sleep 2000", 3, 1)
    assert [child["cmdline"] for child in info["children"]] == ["sleep 1000"]
    own = running.ctl("dstats")["info"]
    assert own["pid"] == running.pid
    assert arbiter_of(running.pid) in [child["pid"] for child in own["children"]]


def test_many_stats_hold_up_nobody(daemon: StartDaemon) -> None:
    """A short question put after one about three hundred workers is answered before it."""
    running = daemon(watchers={"w": {"cmd": SLEEP, "numprocesses": 300}})
    running.wait_phase("w", count=300, seconds=60)

    def overtaken() -> bool:
        with zmq.Context() as context, context.socket(zmq.DEALER) as long, context.socket(zmq.DEALER) as short:
            for socket in (long, short):
                socket.setsockopt(zmq.LINGER, 0)
                socket.connect(f"ipc://{running.directory}/run/{running.name}/control.sock")
            long.send(b'{"command": "stats"}')
            short.send(b'{"command": "numwatchers"}')
            assert short.poll(30_000 * SLOWNESS) and json.loads(short.recv())["numwatchers"] == 1
            first = not long.poll(0)
            assert long.poll(30_000 * SLOWNESS) and len(json.loads(long.recv())["infos"]["w"]) == 300
            return first

    until(overtaken, 30, "the short question answered first")


@pytest.mark.parametrize(
    ("arguments", "status", "told"),
    [
        (("status", "wbe"), 1, "did you mean web?"),
        (("set", "web", "nice=99"), 1, "expected -20 to 19"),
        (("stats", "--extended"), 1, "name one"),
        (("stats", "--process", "1"), 1, "no worker has that pid"),
        (("start", "--match", "regex", "("), 1, "no regular expression"),
        (("globaloptions", "endpint"), 1, "did you mean endpoint?"),
        (("nosuch",), 2, "no verb 'nosuch'"),
        (("incr", "web", "x"), 2, "not a valid integer"),
        (("ps", "--watch", "web"), 2, "names come before a bare --watch"),
    ],
)
def test_a_refusal_has_its_exit_status_and_a_way_on(
    daemon: StartDaemon, arguments: tuple[str, ...], status: int, told: str
) -> None:
    running = daemon(watchers={"web": {"cmd": SLEEP}, "mail": {"cmd": SLEEP}})
    done = running.command(*arguments)
    assert (done.returncode, done.stdout) == (status, "")
    assert told in done.stderr


def test_nobody_running_and_nobody_answering_are_told_apart(daemon: StartDaemon) -> None:
    running = daemon(watchers={})
    arbiter = until(lambda: arbiter_of(running.pid))
    os.kill(arbiter, signal.SIGSTOP)
    late = running.command("--timeout", "0.2", "status")
    os.kill(arbiter, signal.SIGCONT)
    assert (late.returncode, "no answer in 0.2 s" in late.stderr) == (6, True)
    running.wait_answering()
    nobody = running.command("--name", f"{running.name}-other", "status")
    assert (nobody.returncode, "circus-cg run CONFIG" in nobody.stderr) == (5, True)


def test_names_are_completed_from_the_running_daemon(daemon: StartDaemon) -> None:
    running = daemon(watchers={"web": {"cmd": SLEEP}, "worker": {"cmd": SLEEP}, "mail": {"cmd": SLEEP}})
    words = f"circus-cg ctl --name {running.name} restart w"
    asked = {"_CIRCUS_CG_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": "5"}
    done = subprocess.run(
        [PROGRAM], env={**running.environment, **asked}, capture_output=True, text=True, check=True, timeout=30
    )
    assert done.stdout.split() == ["plain,web", "plain,worker"]
    assert done.stderr == ""


class Terminal:
    """`circus-cg ctl ARGUMENTS` on a terminal of its own."""

    def __init__(self, running: Daemon, *arguments: str, **environment: str) -> None:
        ours, theirs = pty.openpty()
        command = [PROGRAM, "ctl", "--name", running.name, *arguments]
        where = {**running.environment, "TERM": "xterm", **environment}
        self.process = subprocess.Popen(
            command, env=where, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True
        )
        os.close(theirs)
        self._fd, self.text = ours, ""

    def read(self) -> str:
        """All that was shown so far."""
        while select.select([self._fd], [], [], 0)[0]:
            try:
                self.text += os.read(self._fd, 65536).decode()
            except OSError:  # its side is closed
                break
        return self.text

    def interrupt(self) -> int:
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(20 * SLOWNESS)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._fd)


def test_watch_shows_changes_in_place_and_ctrl_c_leaves_the_terminal_as_it_was(daemon: StartDaemon) -> None:
    running = daemon(watchers={"web": {"cmd": SLEEP}})
    running.wait_phase("web")
    with Terminal(running, "status", "--watch=0.1") as terminal:
        until(lambda: "\x1b[32mactive" in terminal.read(), why="a coloured status")
        running.ctl("stop", "web")
        until(lambda: "stopped" in terminal.read(), why="the change")
        assert terminal.interrupt() == 0
        text = terminal.read()
    assert text.startswith("\x1b[?1049h") and text.endswith("\x1b[?1049l")
    assert "\x1b[2J" not in text, "clearing flickers"
    assert "Traceback" not in text and "Abort" not in text


def test_watch_outlives_an_arbiter_and_ends_with_the_daemon(tmp_path: Path, scratch_name: str) -> None:
    with (
        Daemon(tmp_path, scratch_name, {"watchers": {"web": {"cmd": SLEEP}}}) as running,
        Terminal(running, "ps", "--watch=0.1", NO_COLOR="1") as terminal,
    ):
        until(lambda: "ready" in terminal.read(), why="a row")
        os.kill(until(lambda: arbiter_of(running.pid)), signal.SIGKILL)
        running.wait_answering()
        shown = len(terminal.read())
        until(lambda: "ready" in terminal.read()[shown:], why="rows of the next arbiter")
        assert "\x1b[32m" not in terminal.text
        running.ctl("quit")
        assert terminal.process.wait(20 * SLOWNESS) == 5
        assert "\x1b[?1049l" in terminal.read()


def test_watch_into_a_pipe_is_one_document_a_line(daemon: StartDaemon) -> None:
    running = daemon(watchers={"web": {"cmd": SLEEP}})
    running.wait_phase("web")
    command = [PROGRAM, "ctl", "--name", running.name, "list", "--watch=0.05", "--json"]
    with subprocess.Popen(command, env=running.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stderr is not None
        assert [json.loads(process.stdout.readline()) for _ in range(3)] == [{"watchers": ["web"]}] * 3
        process.stdout.close()
        assert process.wait(20 * SLOWNESS) == 0
        assert process.stderr.read() == b""
