"""A worker is ready when it says so, and not before; what it said outlives the arbiter."""

from __future__ import annotations

import os
import signal
import socket
import stat
from pathlib import Path

import pytest

from tests.conftest import SLOWNESS, until
from tests.functional.conftest import StartDaemon
from tests.functional.daemon import Daemon, Row
from tests.functional.evidence import alive, arbiter_of, lines_of, python, quoted, sh
from tests.functional.talker import Talker

SLEEP = ["sleep", "1000"]


def row(running: Daemon, watcher: str = "w") -> Row:
    (found,) = running.workers(watcher)
    return found


def notify_socket(talker: Talker) -> str:
    return until(lambda: talker.environment.get("NOTIFY_SOCKET"), why="the worker") or ""


def kill_arbiter(running: Daemon) -> int:
    pid = until(lambda: arbiter_of(running.pid), why="an arbiter")
    os.kill(pid, signal.SIGKILL)
    return pid


def test_it_is_starting_until_it_says_ready_and_start_waits_for_that(daemon: StartDaemon, tmp_path: Path) -> None:
    talker = Talker(tmp_path)
    running = daemon(watchers={"w": {"cmd": talker.cmd, "ready": "notify"}})
    notify_socket(talker)
    assert (row(running)["phase"], row(running)["ready"]) == ("starting", False)
    assert running.ctl("status")["statuses"] == {"w": "starting"}
    talker.say("STATUS=loading 3 of 7")
    until(lambda: row(running)["status"] == "loading 3 of 7")
    assert "loading 3 of 7" in running.command("ps").stdout
    talker.say("READY=1|STATUS=serving")
    (there,) = running.wait_phase("w")
    assert (there["status"], there["ready"]) == ("serving", True)
    assert running.ctl("start", "w")["statuses"] == {"w": "active"}


def test_the_socket_is_the_workers_own_and_goes_with_it(scratch_name: str, public: Path) -> None:
    home = public / "home"
    home.mkdir()
    os.chown(home, 65534, -1)
    talker = Talker(home)
    watcher = {"cmd": talker.cmd, "ready": "notify", "uid": 65534, "gid": 65534}
    with Daemon(public, scratch_name, {"watchers": {"w": watcher}}) as running:
        path = Path(notify_socket(talker))
        found = path.stat()
        assert (found.st_uid, stat.S_IMODE(found.st_mode)) == (65534, 0o600)
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o711
        talker.say("READY=1")
        running.wait_phase("w")
        running.ctl("stop", "w")
        until(lambda: not path.exists(), why="the socket to be removed")


def test_nobody_else_can_speak_for_it(daemon: StartDaemon, tmp_path: Path) -> None:
    talker = Talker(tmp_path)
    running = daemon(watchers={"w": {"cmd": talker.cmd, "ready": "notify"}})
    path = notify_socket(talker)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as stranger:  # root, but in no group of the worker's
        stranger.sendto(b"READY=1\nSTATUS=forged", path)
    talker.say("STATUS=its own")
    until(lambda: row(running)["status"] is not None)
    assert (row(running)["status"], row(running)["phase"]) == ("its own", "starting")


def test_a_child_that_has_ended_before_it_is_heard_may_speak_for_it(daemon: StartDaemon, tmp_path: Path) -> None:
    """As systemd-notify in a shell script does; the arbiter is held until the child is gone."""
    go, gone = tmp_path / "go", tmp_path / "gone"
    say = (
        "import os, socket; socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)"
        '.sendto(b"READY=1", os.environ["NOTIFY_SOCKET"])'
    )
    script = (
        f"while [ ! -e {quoted(go)} ]; do sleep 0.01; done; "
        f"/usr/bin/python3 -I -S -c '{say}'; touch {quoted(gone)}; exec sleep 1000"
    )
    running = daemon(watchers={"w": {"cmd": sh(script), "ready": "notify"}})
    running.wait_phase("w", "starting")
    until(lambda: row(running)["pid"] is not None)
    arbiter = until(lambda: arbiter_of(running.pid)) or 0
    os.kill(arbiter, signal.SIGSTOP)
    go.touch()
    until(gone.exists, why="the child to have spoken")
    os.kill(arbiter, signal.SIGCONT)
    running.wait_phase("w")


def test_a_newline_on_the_notification_pipe_makes_it_ready(daemon: StartDaemon, tmp_path: Path) -> None:
    go = tmp_path / "go"
    script = f"while [ ! -e {quoted(go)} ]; do sleep 0.01; done; echo >&5; exec 5>&-; exec sleep 1000"
    watcher = {"cmd": sh(script), "ready": "fd", "notification_fd": 5}
    running = daemon(watchers={"w": watcher})
    running.wait_phase("w", "starting")
    go.touch()
    running.wait_phase("w")


def test_one_that_does_not_become_ready_in_time_is_ended_and_tried_again(daemon: StartDaemon, tmp_path: Path) -> None:
    log = tmp_path / "log"
    script = f"echo began >> {quoted(log)}; trap 'echo asked >> {quoted(log)}; exit 0' TERM; sleep 1000 & wait"
    watcher = {"cmd": sh(script), "ready": "notify", "start_timeout": 0.3 * SLOWNESS, "backoff": {"initial": 0.1}}
    running = daemon(watchers={"w": watcher})
    until(lambda: lines_of(log)[:3] == ["began", "asked", "began"], 20)
    last = row(running)["last_exit"]
    assert (last["reason"], last["code"]) == ("start-timeout", 0)


def test_a_worker_may_ask_for_more_time_to_start(daemon: StartDaemon, tmp_path: Path) -> None:
    talker = Talker(tmp_path)
    running = daemon(watchers={"w": {"cmd": talker.cmd, "ready": "notify", "start_timeout": 1.5 * SLOWNESS}})
    before = until(lambda: row(running)["pid"])
    talker.say(f"EXTEND_TIMEOUT_USEC={int(60e6 * SLOWNESS)}")
    with pytest.raises(pytest.fail.Exception):
        until(lambda: row(running)["pid"] != before, 2.5)
    talker.say("READY=1")
    assert running.wait_phase("w")[0]["pid"] == before


@pytest.mark.parametrize("word", ["READY=1", "newline"])
def test_what_is_said_while_no_arbiter_lives_is_heard_by_the_next(
    daemon: StartDaemon, tmp_path: Path, word: str
) -> None:
    """The keeper is stopped, so that there is none until the worker has spoken."""
    go, said = tmp_path / "go", tmp_path / "said"
    send = (
        'import os, socket; socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).sendto(b"READY=1\\nSTATUS=told", '
        'os.environ["NOTIFY_SOCKET"])'
        if word == "READY=1"
        else 'import os; os.write(3, b"\\n"); os.close(3)'
    )
    code = (
        f"import os, time\nwhile not os.path.exists({str(go)!r}): time.sleep(0.01)\n{send}\n"
        f"open({str(said)!r}, 'w').close()\ntime.sleep(1000)"
    )
    watcher = {"cmd": python(code), "ready": "notify" if word == "READY=1" else "fd"}
    running = daemon(watchers={"w": watcher})
    running.wait_phase("w", "starting")
    pid = until(lambda: row(running)["pid"])
    os.kill(running.pid, signal.SIGSTOP)
    dead = kill_arbiter(running)
    go.touch()
    until(said.exists, why="the worker to have spoken")
    os.kill(running.pid, signal.SIGCONT)
    until(lambda: arbiter_of(running.pid) not in (dead, None), why="the next arbiter")
    running.wait_answering()
    (there,) = running.wait_phase("w")
    assert there["pid"] == pid


def test_the_next_arbiter_knows_who_is_ready_and_who_is_not(daemon: StartDaemon, tmp_path: Path) -> None:
    first, second = Talker(tmp_path, "first"), Talker(tmp_path, "second")
    both = {"v": {"cmd": first.cmd, "ready": "notify"}, "w": {"cmd": second.cmd, "ready": "notify"}}
    running = daemon(watchers=both)
    first.say("READY=1|STATUS=fine|MAINPID=1")
    running.wait_phase("v")
    dead = kill_arbiter(running)
    until(lambda: arbiter_of(running.pid) not in (dead, None), why="the next arbiter")
    running.wait_answering()
    there = row(running, "v")
    assert (there["phase"], there["status"], there["main_pid"]) == ("ready", "fine", 1)
    assert row(running)["phase"] == "starting"
    second.say("READY=1")
    running.wait_phase("w")


def test_an_upgrade_in_place_keeps_the_sockets(daemon: StartDaemon, tmp_path: Path) -> None:
    talker = Talker(tmp_path)
    running = daemon(watchers={"w": {"cmd": talker.cmd, "ready": "notify"}})
    notify_socket(talker)
    pid = row(running)["pid"]
    running.ctl("upgrade")
    assert row(running)["phase"] == "starting"
    talker.say("READY=1")
    assert running.wait_phase("w")[0]["pid"] == pid


def test_a_reload_replaces_the_next_worker_only_when_the_new_one_is_ready(daemon: StartDaemon, tmp_path: Path) -> None:
    """By a worker that becomes ready when it is allowed to."""
    allowed, born = tmp_path / "allowed", tmp_path / "born"
    script = (
        f"echo $$ >> {quoted(born)}; while [ ! -e {quoted(allowed)} ]; do sleep 0.01; done; echo >&3; exec sleep 1000"
    )
    allowed.touch()
    watcher = {"cmd": sh(script), "ready": "fd", "numprocesses": 2}
    running = daemon(watchers={"w": watcher})
    before = {one["wid"]: one["pid"] for one in running.wait_phase("w", count=2)}
    allowed.unlink()
    running.ctl("reload", "w", "--no-wait")
    until(lambda: len(lines_of(born)) == 3, why="the first new worker")
    assert alive(before[2])
    allowed.touch()
    until(lambda: len(lines_of(born)) == 4, why="the second")
    rows = running.wait_phase("w", count=2)
    assert not {one["pid"] for one in rows} & set(before.values())


def test_a_barrier_is_released_when_what_was_said_before_is_known(daemon: StartDaemon, tmp_path: Path) -> None:
    passed = tmp_path / "passed"
    code = (
        "import array, os, select, socket, time\n"
        "line = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)\n"
        "line.connect(os.environ['NOTIFY_SOCKET'])\n"
        "line.send(b'READY=1')\n"
        "ours, theirs = os.pipe()\n"
        "socket.send_fds(line, [b'BARRIER=1'], [theirs])\n"
        "os.close(theirs)\n"
        "poll = select.poll(); poll.register(ours, 0)\n"
        "poll.poll()\n"
        f"open({str(passed)!r}, 'w').close()\n"
        "time.sleep(1000)"
    )
    running = daemon(watchers={"w": {"cmd": python(code), "ready": "notify"}})
    until(passed.exists, why="the barrier")
    assert row(running)["phase"] == "ready"


def test_no_flood_of_words_holds_up_anybody_else(daemon: StartDaemon, tmp_path: Path) -> None:
    code = (
        "import os, socket\n"
        "line = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)\n"
        "line.connect(os.environ['NOTIFY_SOCKET'])\n"
        "n = 0\n"
        "while True:\n"
        "    n += 1\n"
        "    line.send(b'READY=1\\nSTATUS=%d\\nWATCHDOG=1' % n)\n"
    )
    flood = {"cmd": python(code), "ready": "notify", "watchdog": {"timeout": 60}}
    running = daemon(watchers={"flood": flood, "w": {"cmd": SLEEP}})
    running.wait_phase("flood")
    before = row(running)["pid"]
    running.ctl("restart", "w", seconds=20)
    assert running.wait_phase("w")[0]["pid"] != before


def test_who_asks_for_neither_gets_nothing_new(daemon: StartDaemon, tmp_path: Path) -> None:
    seen, notify = tmp_path / "seen", tmp_path / "run"
    script = f"env > {quoted(seen)}; ls /proc/self/fd > {quoted(seen)}.fds; touch {quoted(seen)}.done; exec sleep 1000"
    running = daemon(watchers={"w": {"cmd": sh(script)}})
    until(Path(f"{seen}.done").exists)
    assert not [line for line in lines_of(seen) if line.startswith(("NOTIFY_", "WATCHDOG_"))]
    assert not list(notify.glob("*/notify"))
    assert running.wait_phase("w")[0]["watchdog"] is None
