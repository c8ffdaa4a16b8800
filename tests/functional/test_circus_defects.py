"""What circus 0.19 documents and does not do, or does wrongly, in the lives of workers: here it is done.

| circus | here |
|---|---|
| a death is noticed by a poll, every 5 s | at once |
| one global lock: a slow stop blocks commands and respawns (#776, #1154) | nobody waits for another watcher |
| max_retry = -1 and a bad cmd: 100 % CPU, no answer, nothing else starts (#1157) | pauses that grow |
| a bad cmd with the default max_retry: `stopped`, and nothing said (#343) | `failed`, with the reason |
| stop_children: only direct children, and nobody waits for them (#1044) | all are gone when the stop is over |
| flapping stops the healthy siblings too (#1155), counts what was commanded (#809, #965) | one worker's, and crashes |
| flapping never stops anything (its messages are lost) | it does |
| `set` takes respawn, max_retry and the like, and nothing happens | the next end goes by them |
| SIGTERM is ignored while starting (#935) | it is obeyed, and nothing is left |
| reloadconfig ignores the priority (#1109) | the same order as at the start |
| max_age kills first and respawns later, and draws the variance anew at every look | test_max_age |
| priority's stops run all at once (#746) | test_order: by `after` and `requires` |
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.conftest import SLOWNESS, until
from tests.functional.daemon import Daemon
from tests.functional.evidence import alive, lines_of, quoted

FLAPPING = "[plugin:flapping]\nuse = circus.plugins.flapping.Flapping\nattempts = 3\nwindow = 10\nretry_in = 60\n"


def circus(directory: Path, name: str, text: str) -> Daemon:
    """A daemon by a circus.ini: what stands in `text` after [circus]."""
    daemon = Daemon(directory, name, {})
    daemon.config = directory / "circus.ini"
    write(daemon, text)
    return daemon


def write(daemon: Daemon, text: str) -> None:
    daemon.config.touch(mode=0o600)
    daemon.config.write_text(f"[circus]\nname = {daemon.name}\ncgroup_root = /\n{text}")


def watcher(name: str, cmd: str = "sleep 1000", **options: object) -> str:
    lines = [f"[watcher:{name}]", f"cmd = {cmd}", *(f"{key} = {value}" for key, value in options.items())]
    return "\n".join(lines) + "\n"


def shell(script: str) -> str:
    return f"sh -c '{script}'"


def test_a_death_is_noticed_at_once(tmp_path: Path, scratch_name: str) -> None:
    with circus(tmp_path, scratch_name, "check_delay = 5\n" + watcher("w")) as running:
        (first,) = running.wait_phase("w")
        time.sleep(1.1)  # beyond min_uptime: a crash at start would wait
        began = time.monotonic()
        os.kill(first["pid"], signal.SIGKILL)
        until(lambda: running.workers("w")[0]["pid"] not in (None, first["pid"]), why="the next life")
        assert time.monotonic() - began < 3 * SLOWNESS  # most of which is the command line's


def test_a_slow_stop_holds_up_no_other_watcher(tmp_path: Path, scratch_name: str) -> None:
    slow = watcher("slow", shell('trap "" TERM; while :; do sleep 0.1; done'), graceful_timeout=20)
    with circus(tmp_path, scratch_name, slow + watcher("other")) as running:
        running.wait_phase("slow")
        (first,) = running.wait_phase("other")
        running.ctl("stop", "slow", "--no-wait")
        time.sleep(1.1)
        os.kill(first["pid"], signal.SIGKILL)
        until(lambda: running.workers("other")[0]["pid"] not in (None, first["pid"]), why="the respawn")
        running.ctl("restart", "other")
        running.ctl("incr", "other")
        running.wait_phase("other", count=2)
        assert running.ctl("status", "slow") == {"statuses": {"slow": "stopping"}}
        running.ctl("kill", "slow", "--signal", "KILL", "--no-wait")


def test_a_bad_cmd_that_is_retried_for_ever_leaves_the_daemon_in_peace(tmp_path: Path, scratch_name: str) -> None:
    with circus(tmp_path, scratch_name, watcher("bad", "/no/such", max_retry=-1) + watcher("good")) as running:
        running.wait_phase("good")
        running.wait_phase("bad", "backoff")
        before = cpu_seconds(running.pid)
        time.sleep(2)
        assert cpu_seconds(running.pid) - before < 1.0
        assert running.ctl("numwatchers") == {"numwatchers": 2}


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_a_bad_cmd_is_said_to_have_failed(tmp_path: Path, scratch_name: str) -> None:
    with circus(tmp_path, scratch_name, watcher("bad", "/no/such", max_retry=1)) as running:
        (row,) = running.wait_phase("bad", "failed")
        assert row["last_exit"]["reason"] == "exec"
        assert "No such file" in running.output


@pytest.mark.parametrize("option", ["True", "False"])
def test_children_are_gone_when_the_stop_is_over(tmp_path: Path, scratch_name: str, option: str) -> None:
    pids = tmp_path / "pids"
    child = f'(trap "" TERM; echo $$ >> {quoted(pids)}; setsid sleep 1000 & echo $! >> {quoted(pids)}; wait)'
    text = watcher("w", shell(f"{child} & wait"), stop_children=option, graceful_timeout=1)
    with circus(tmp_path, scratch_name, text) as running:
        until(lambda: len(lines_of(pids)) == 2, why="the children")
        running.ctl("stop", "w")
        assert not any(alive(int(line)) for line in lines_of(pids))


def test_flapping_is_one_workers_affair_and_ends(tmp_path: Path, scratch_name: str) -> None:
    lives = tmp_path / "lives"
    one_flaps = shell(f"test $0 = 2 && echo x >> {quoted(lives)} && exit 1; exec sleep 1000") + " $(circus.wid)"
    with circus(tmp_path, scratch_name, FLAPPING + watcher("w", one_flaps, numprocesses=3)) as running:
        until(lambda: len(lines_of(lives)) == 3, why="three short lives")
        until(lambda: "w.2 flapping" in running.output, why="the verdict")
        healthy = {row["wid"] for row in running.wait_phase("w", count=2)}
        assert healthy == {1, 3}
        assert len(lines_of(lives)) == 3


def test_what_is_commanded_is_no_flapping(tmp_path: Path, scratch_name: str) -> None:
    with circus(tmp_path, scratch_name, FLAPPING + watcher("w")) as running:
        for _ in range(5):
            running.ctl("restart", "w")
        (row,) = running.wait_phase("w")
        assert (row["restarts"], row["generation"]) == (0, 6)
        assert "flapping" not in running.output


def test_a_watcher_without_respawn_is_stopped_once_its_processes_are_gone(tmp_path: Path, scratch_name: str) -> None:
    lives = tmp_path / "lives"
    text = watcher("w", shell(f"echo x >> {quoted(lives)}; sleep 0.2"), respawn="False", numprocesses=2)
    with circus(tmp_path, scratch_name, text) as running:
        running.wait_phase("w", "done", count=2)
        assert running.ctl("status", "w") == {"statuses": {"w": "stopped"}}
        assert len(lines_of(lives)) == 2


def test_what_set_takes_has_an_effect(tmp_path: Path, scratch_name: str) -> None:
    with circus(tmp_path, scratch_name, watcher("w")) as running:
        (before,) = running.wait_phase("w")
        running.ctl("set", "w", "restart=never")
        assert running.wait_phase("w")[0]["pid"] == before["pid"]
        os.kill(before["pid"], signal.SIGKILL)
        running.wait_phase("w", "done")


def test_a_stop_of_the_daemon_while_it_starts_is_obeyed(tmp_path: Path, scratch_name: str) -> None:
    text = "warmup_delay = 5\n" + "".join(watcher(f"w{number}", numprocesses=2, warmup_delay=5) for number in range(4))
    with circus(tmp_path, scratch_name, text) as running:
        running.wait_phase("w0")
        began = time.monotonic()
        assert running.terminate() == 0
        assert time.monotonic() - began < 10 * SLOWNESS


def test_reloadconfig_begins_new_watchers_in_their_order(tmp_path: Path, scratch_name: str) -> None:
    log = tmp_path / "log"

    def noting(name: str, priority: int) -> str:
        return watcher(name, shell(f"echo {name} >> {quoted(log)}; exec sleep 1000"), priority=priority)

    with circus(tmp_path, scratch_name, "warmup_delay = 1\n" + watcher("old")) as running:
        running.wait_phase("old")
        write(running, "warmup_delay = 1\n" + watcher("old") + noting("a", 1) + noting("b", 9) + noting("c", 5))
        running.ctl("reloadconfig", "--no-wait")
        until(lambda: len(lines_of(log)) == 3, 20, "all three")
        assert lines_of(log) == ["b", "c", "a"]


def test_the_pidfile_and_the_log_are_written(tmp_path: Path, scratch_name: str) -> None:
    text = f"pidfile = {tmp_path}/shop.pid\nloglevel = DEBUG\nlogoutput = {tmp_path}/shop.log\n" + watcher("w")
    with circus(tmp_path, scratch_name, text) as running:
        running.wait_phase("w")
        assert (tmp_path / "shop.pid").read_text() == f"{running.pid}\n"
        assert "w.1" in (tmp_path / "shop.log").read_text()
        done = subprocess.run(
            [running.program, "check", str(running.config)], capture_output=True, text=True, check=True
        )
        assert "not yet" not in done.stderr
