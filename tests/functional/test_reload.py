"""New lives one after the other; and a configuration that is read again."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import until
from tests.functional.conftest import StartDaemon
from tests.functional.daemon import PROGRAM, Daemon, Refused
from tests.functional.evidence import alive, arbiter_of, group_dirs, group_file, lines_of, quoted, sh

SLEEP = ["sleep", "1000"]


def kill_arbiter(running: Daemon) -> None:
    pid = until(lambda: arbiter_of(running.pid), why="an arbiter")
    os.kill(pid, signal.SIGKILL)
    until(lambda: arbiter_of(running.pid) not in (pid, None), why="the next arbiter")
    running.wait_answering()


def pids(running: Daemon, watcher: str) -> dict[int, int]:
    return {row["wid"]: row["pid"] for row in running.workers(watcher) if row["pid"]}


def generations(running: Daemon, watcher: str = "w") -> list[int]:
    return [row["generation"] for row in running.workers(watcher)]


def leaving(log: Path) -> list[str]:
    """Says when it comes and goes; takes a while to go."""
    file = quoted(log)
    return sh(f"trap 'sleep 0.2; echo gone >> {file}; exit' TERM; echo here >> {file}; while :; do sleep 0.05; done")


def test_a_reload_replaces_one_worker_after_the_other(daemon: StartDaemon, tmp_path: Path) -> None:
    log = tmp_path / "lives"
    running = daemon(watchers={"w": {"cmd": leaving(log), "numprocesses": 3}})
    running.wait_phase("w", count=3)
    until(lambda: lines_of(log) == ["here"] * 3)
    running.ctl("reload", "w")
    until(lambda: lines_of(log) == ["here"] * 3 + ["gone", "here"] * 3)
    assert generations(running) == [2, 2, 2]
    (told,) = running.ctl("events", "-k", "reload")["events"]
    assert (told["watcher"], told["detail"]) == ("w", "one after the other")


def test_a_reload_that_may_terminate_replaces_all_at_once(daemon: StartDaemon, tmp_path: Path) -> None:
    log = tmp_path / "lives"
    running = daemon(watchers={"w": {"cmd": leaving(log), "numprocesses": 3}})
    until(lambda: lines_of(log) == ["here"] * 3)
    running.ctl("reload", "w", "--terminate")
    until(lambda: len(lines_of(log)) == 9)
    kinds = [event["kind"] for event in running.ctl("events", "-k", "reload", "-k", "stopping", "-k", "exit")["events"]]
    assert kinds == ["reload", *["stopping"] * 3, *["exit"] * 3]


def test_a_new_life_that_fails_leaves_the_other_workers_as_they_are(daemon: StartDaemon, tmp_path: Path) -> None:
    flag, program = tmp_path / "broken", tmp_path / "program"
    program.write_text("#!/bin/sh\nexec sleep 1000\n")
    program.chmod(0o755)
    running = daemon(watchers={"w": {"cmd": [str(program)], "numprocesses": 3}})
    running.wait_phase("w", count=3)
    before = pids(running, "w")
    program.rename(flag)
    with pytest.raises(
        Refused, match=r"worker 1 is in backoff: could not be started.*2 workers keep the life they had"
    ):
        running.ctl("reload", "w")
    assert {wid: pid for wid, pid in pids(running, "w").items() if wid > 1} == {2: before[2], 3: before[3]}
    flag.rename(program)
    running.wait_phase("w", count=3)


def test_a_reload_is_finished_by_the_next_arbiter(daemon: StartDaemon, tmp_path: Path) -> None:
    log = tmp_path / "lives"
    running = daemon(watchers={"w": {"cmd": leaving(log), "numprocesses": 4}})
    until(lambda: lines_of(log) == ["here"] * 4)
    running.ctl("reload", "w", "--no-wait")
    until(lambda: "gone" in lines_of(log))
    kill_arbiter(running)
    until(lambda: generations(running) == [2] * 4, 20)
    assert lines_of(log) == ["here"] * 4 + ["gone", "here"] * 4


def test_who_waits_for_a_reload_is_told_when_the_arbiter_can_not_answer_any_more(
    daemon: StartDaemon, tmp_path: Path
) -> None:
    log = tmp_path / "lives"
    running = daemon(watchers={"w": {"cmd": leaving(log), "numprocesses": 4}})
    until(lambda: lines_of(log) == ["here"] * 4)
    command = [PROGRAM, "ctl", "--name", running.name, "reload", "w"]
    with subprocess.Popen(command, env=running.environment, stderr=subprocess.PIPE, text=True) as waiting:
        try:
            until(lambda: "gone" in lines_of(log))
            kill_arbiter(running)
            until(lambda: waiting.poll() is not None, why="the end of the wait")
        finally:
            waiting.kill()
        assert waiting.stderr is not None
        assert "cannot reload: the connection was lost before the answer came" in waiting.stderr.read()
    assert waiting.returncode == 6
    until(lambda: generations(running) == [2] * 4, 20)


def test_a_stopped_watcher_is_not_started_by_a_reload(daemon: StartDaemon) -> None:
    running = daemon(watchers={"w": {"cmd": SLEEP}, "off": {"cmd": SLEEP, "autostart": False}})
    running.wait_phase("w")
    running.ctl("reload")
    assert running.ctl("status")["statuses"] == {"w": "active", "off": "stopped"}
    assert generations(running) == [2]


# -- the configuration ------------------------------------------------------------------------------


def reload_with(running: Daemon, watchers: dict[str, Any], **top: Any) -> dict[str, Any]:
    running.write_config({"watchers": watchers, **top})
    done: dict[str, Any] = running.ctl("reloadconfig")
    return done


def test_watchers_come_go_and_change_with_the_file_and_the_rest_is_not_touched(daemon: StartDaemon) -> None:
    running = daemon(watchers={name: {"cmd": SLEEP} for name in ("same", "gone", "live", "renewed", "more")})
    for name in ("same", "gone", "live", "renewed", "more"):
        running.wait_phase(name)
    before = {name: pids(running, name) for name in ("same", "gone", "live", "renewed", "more")}
    done = reload_with(
        running,
        {
            "same": {"cmd": SLEEP},
            "live": {"cmd": SLEEP, "graceful_timeout": "5s"},
            "renewed": {"cmd": SLEEP, "env": {"A": "1"}},
            "more": {"cmd": SLEEP, "numprocesses": 3},
            "new": {"cmd": SLEEP, "limits": {"pids_max": 7}},
        },
    )
    assert (done["added"], done["removed"], done["failed"]) == (["new"], ["gone"], {})
    assert done["changed"] == {"live": ["graceful_timeout"], "renewed": ["env.A"], "more": ["numprocesses"]}
    assert pids(running, "same") == before["same"] and pids(running, "live") == before["live"]
    assert pids(running, "renewed") != before["renewed"]
    assert pids(running, "more").items() > before["more"].items() and len(pids(running, "more")) == 3
    assert group_file(running.name, "new", "1.1", "pids.max").read_text() == "7\n"
    assert not alive(before["gone"][1]) and not group_dirs(running.name, "gone")
    assert running.ctl("diff") == {
        "status": "ok", "lasting": {}, "added": [], "removed": [], "changed": {}, "stopped": [], "started": [],
        "frozen": {},
    }  # fmt: skip


def test_a_file_that_did_not_change_changes_nothing(daemon: StartDaemon) -> None:
    running = daemon(watchers={"w": {"cmd": SLEEP}})
    running.wait_phase("w")
    before = pids(running, "w")
    done = running.ctl("reloadconfig")
    assert (done["added"], done["removed"], done["changed"]) == ([], [], {})
    assert pids(running, "w") == before


@pytest.mark.parametrize(
    ("text", "status", "told"),
    [
        ("watchers: {w: {cmd: sleep 1000, numproceses: 2}, new: {cmd: sleep 1}}", 1, "did you mean 'numprocesses'"),
        ("watchers: {w: {cmd: sleep 1000, uid: no-such-user-here}, new: {cmd: sleep 1}}", 1, "no user is named"),
        ("watchers: {w: {cmd: sleep 1000, limits: {cpuset_cpus: '9999'}}}", 1, "cpuset"),
        ("{", 1, "t-"),
        ("name: another\nwatchers: {}", 1, "cannot change name from "),
    ],
)
def test_a_bad_file_changes_nothing_and_the_asker_is_told_why(
    daemon: StartDaemon, text: str, status: int, told: str
) -> None:
    running = daemon(watchers={"w": {"cmd": SLEEP}})
    running.wait_phase("w")
    before = pids(running, "w"), running.ctl("options", "w")
    name = "" if text.startswith(("name", "{")) else f"name: {running.name}\n"
    running.config.write_text(name + text)
    with pytest.raises(Refused) as refused:
        running.ctl("reloadconfig")
    assert refused.value.status == status and told in str(refused.value)
    assert (pids(running, "w"), running.ctl("options", "w")) == before
    assert running.ctl("list") == {"watchers": ["w"]}


def test_what_was_done_at_run_time_stays_over_the_new_configuration(daemon: StartDaemon) -> None:
    running = daemon(watchers={name: {"cmd": SLEEP} for name in ("stopped", "grown", "set", "removed")})
    running.wait_phase("set")
    running.ctl("stop", "stopped")
    running.ctl("incr", "grown")
    running.ctl("set", "set", "graceful_timeout=7s")
    running.ctl("rm", "removed")
    running.ctl("add", "added", "sleep 1000", "--start")
    changed = {"cmd": SLEEP, "env": {"A": "1"}, "graceful_timeout": "9s"}
    reload_with(running, {name: changed for name in ("stopped", "grown", "set", "removed")})
    assert running.ctl("status")["statuses"] == {
        "stopped": "stopped", "grown": "active", "set": "active", "added": "active",
    }  # fmt: skip
    assert running.ctl("get", "grown", "numprocesses", "env.A")["options"] == {"numprocesses": 2, "env.A": "1"}
    assert running.ctl("get", "set", "graceful_timeout", "env.A")["options"] == {"graceful_timeout": 7.0, "env.A": "1"}
    found = running.ctl("diff")
    assert (found["added"], found["removed"], found["stopped"]) == (["added"], ["removed"], ["stopped"])
    assert found["changed"] == {
        "grown": {"numprocesses": {"configured": 1, "now": 2}},
        "set": {"graceful_timeout": {"configured": 9.0, "now": 7.0}},
    }


def test_a_part_of_an_option_that_was_set_leaves_the_others_to_the_file_and_so_does_a_revert(
    daemon: StartDaemon,
) -> None:
    running = daemon(watchers={"w": {"cmd": SLEEP, "limits": {"pids_max": 100}}})
    running.wait_phase("w")
    running.ctl("set", "w", "limits.memory_max=1G", "env.LANG=C", "graceful_timeout=5s", "numprocesses=2")
    running.ctl("revert", "w", "graceful_timeout", "numprocesses")
    limits = {"pids_max": 500, "cpu_max": 2}
    changed = {"cmd": SLEEP, "graceful_timeout": "60s", "numprocesses": 3, "env": {"TOKEN": "new"}, "limits": limits}
    done = reload_with(running, {"w": changed})
    assert done["changed"] == {
        "w": ["numprocesses", "env.TOKEN", "graceful_timeout", "limits.cpu_max", "limits.pids_max"]
    }
    for _ in range(2):
        found = running.ctl("options", "w")["options"]
        assert (found["graceful_timeout"], found["numprocesses"]) == (60.0, 3)
        assert found["env"] == {"LANG": "C", "TOKEN": "new"}
        assert {key: value for key, value in found["limits"].items() if value} == limits | {"memory_max": 1 << 30}
        kill_arbiter(running)
    running.ctl("revert", "w")
    assert running.ctl("diff")["changed"] == {}
    reload_with(running, {"w": {"cmd": SLEEP, "limits": {"memory_max": "64M"}, "env": {"LANG": "de"}}})
    found = running.ctl("options", "w")["options"]
    assert (found["env"], found["limits"]["memory_max"]) == ({"LANG": "de"}, 64 << 20)


def test_a_file_that_does_not_go_together_with_what_was_set_changes_nothing(daemon: StartDaemon) -> None:
    running = daemon(watchers={"w": {"cmd": SLEEP}})
    running.ctl("set", "w", "backoff.max=2s")
    before = running.ctl("options", "w")
    with pytest.raises(Refused, match=r"'w' was changed at run time.* wrong: backoff\..*`revert` takes it back"):
        reload_with(running, {"w": {"cmd": SLEEP, "backoff": {"initial": "5s"}}})
    assert running.ctl("options", "w") == before
    running.ctl("revert", "w")
    assert running.ctl("reloadconfig")["changed"] == {"w": ["backoff.initial"]}


def test_a_reread_configuration_outlives_the_arbiter_and_not_the_daemon(daemon: StartDaemon, tmp_path: Path) -> None:
    stubborn = {"cmd": sh("trap '' TERM; while :; do sleep 0.1; done"), "graceful_timeout": 2}
    running = daemon(watchers={"gone": stubborn, "w": {"cmd": SLEEP}})
    running.wait_phase("gone"), running.wait_phase("w")
    before = pids(running, "gone")
    running.write_config({"watchers": {"w": {"cmd": SLEEP, "env": {"A": "1"}}, "new": {"cmd": SLEEP}}})
    running.ctl("reloadconfig", "--no-wait")
    kill_arbiter(running)
    running.ctl("wait", "gone", "--state", "gone")
    assert not alive(before[1]) and not group_dirs(running.name, "gone")
    assert running.ctl("status")["statuses"] == {"w": "active", "new": "active"}
    assert running.ctl("get", "w", "env.A")["options"] == {"env.A": "1"}
    kill_arbiter(running)
    assert running.ctl("status")["statuses"] == {"w": "active", "new": "active"}


def test_an_upgrade_ends_a_watcher_that_only_a_reread_configuration_had(daemon: StartDaemon) -> None:
    running = daemon(watchers={"w": {"cmd": SLEEP}})
    reload_with(running, {"w": {"cmd": SLEEP}, "late": {"cmd": SLEEP}})
    late = pids(running, "late")[1]
    running.write_config({"watchers": {"w": {"cmd": SLEEP}}})
    running.ctl("upgrade")
    until(lambda: running.ctl("list") == {"watchers": ["w"]}, why="the watcher to be gone")
    assert not alive(late) and not group_dirs(running.name, "late")


def test_a_secret_of_the_file_is_in_no_log_and_no_argument(daemon: StartDaemon) -> None:
    running = daemon(watchers={"w": {"cmd": SLEEP}})
    reload_with(running, {"w": {"cmd": SLEEP, "env": {"TOKEN": "s3cret"}}})
    assert "s3cret" not in running.output and "env.TOKEN" in running.output
    kept = running.directory / "state" / running.name / "configuration.json"
    assert kept.stat().st_mode & 0o777 == 0o600
