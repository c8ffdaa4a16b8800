"""What dies is replaced, what is stopped stays away, what can't run is said to."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path

import pytest

from tests.conftest import until
from tests.functional.conftest import StartDaemon
from tests.functional.daemon import PROGRAM, Daemon, Refused
from tests.functional.evidence import alive, lines_of, python, quoted, sh

SLEEP = ["sleep", "1000"]


@pytest.fixture(params=["launcher", "fork"])
def way_to_spawn(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "fork":
        monkeypatch.setenv("CIRCUS_CG_LAUNCHER", "fork")


def test_a_killed_worker_is_replaced_and_its_end_is_on_record(daemon: StartDaemon, way_to_spawn: None) -> None:
    running = daemon(watchers={"w": {"cmd": SLEEP, "numprocesses": 3, "min_uptime": 0}})
    before = {row["wid"]: row for row in running.wait_phase("w", count=3)}
    os.kill(before[2]["pid"], signal.SIGKILL)
    until(lambda: next(r for r in running.workers("w") if r["wid"] == 2)["generation"] == 2, why="the replacement")
    after = {row["wid"]: row for row in running.wait_phase("w", count=3)}
    assert after[2]["pid"] != before[2]["pid"] and after[2]["restarts"] == 1
    assert after[2]["last_exit"]["signal"] == signal.SIGKILL
    assert [after[w]["pid"] for w in (1, 3)] == [before[w]["pid"] for w in (1, 3)]


def test_setsid_grandchildren_are_gone_after_a_stop(daemon: StartDaemon, tmp_path: Path, way_to_spawn: None) -> None:
    pids = tmp_path / "pids"
    first = f"setsid sh -c 'echo $$ >> {quoted(pids)}; exec sleep 1000'"
    script = f"{first} & setsid sleep 1000 & echo $! >> {quoted(pids)}; wait"
    running = daemon(watchers={"w": {"cmd": sh(script)}})
    until(lambda: len(lines_of(pids)) == 2, why="the grandchildren")
    found = [int(line) for line in lines_of(pids)]
    running.ctl("stop", "w")
    assert not any(alive(pid) for pid in found)
    assert running.ctl("status", "w") == {"statuses": {"w": "stopped"}}


def test_what_a_crashed_worker_leaves_does_nothing_more_once_its_replacement_begins(
    daemon: StartDaemon, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    script = (
        f"n=$(grep -c life {quoted(log)}); echo life $n >> {quoted(log)}; "
        f'setsid sh -c "while :; do echo left $n >> {quoted(log)}; sleep 0.005; done" & sleep 0.1; exit 3'
    )
    log.touch()
    daemon(watchers={"w": {"cmd": sh(script), "backoff": {"initial": 0}, "flapping": {"attempts": 0}}})
    until(lambda: sum("life" in line for line in lines_of(log)) >= 6, why="six lives")
    current = -1
    for kind, number in (line.split() for line in lines_of(log)):
        current = int(number) if kind == "life" else current
        assert int(number) == current, f"{kind} {number} while life {current} went on"
    assert any("left" in line for line in lines_of(log))


def test_a_command_that_does_not_exist_fails_alone_and_says_why(daemon: StartDaemon, way_to_spawn: None) -> None:
    watchers = {
        "bad": {"cmd": "/no/such/program", "max_retry": 1, "backoff": {"initial": 0.1}},
        "good": {"cmd": SLEEP},
    }
    running = daemon(watchers=watchers)
    (row,) = running.wait_phase("bad", "failed")
    assert row["last_exit"]["reason"] == "exec"
    assert "No such file" in row["last_exit"]["detail"]
    running.wait_phase("good")


def test_flapping_ends_in_failed_and_a_start_tries_again(daemon: StartDaemon, tmp_path: Path) -> None:
    lives = tmp_path / "lives"
    flapping = {"attempts": 2, "window": 60, "retry_in": 0.1, "max_retry": 1}
    cmd = sh(f"echo x >> {quoted(lives)}; exit 1")
    running = daemon(watchers={"w": {"cmd": cmd, "backoff": {"initial": 0.05}, "flapping": flapping}})
    running.wait_phase("w", "failed")
    assert len(lines_of(lives)) == 4
    running.ctl("start", "w", "--no-wait")
    until(lambda: len(lines_of(lives)) > 4, why="another try")
    running.wait_phase("w", "failed")


def test_a_worker_that_ignores_its_stop_signal_is_killed_at_the_deadline(daemon: StartDaemon, tmp_path: Path) -> None:
    ready = tmp_path / "ready"
    cmd = sh(f"trap '' TERM; echo > {quoted(ready)}; while :; do sleep 0.05; done")
    running = daemon(watchers={"w": {"cmd": cmd, "graceful_timeout": 0.3}})
    until(ready.exists)
    (row,) = running.wait_phase("w")
    running.ctl("stop", "w")
    assert not alive(row["pid"])


def test_workers_are_added_and_taken_away(daemon: StartDaemon) -> None:
    running = daemon(watchers={"w": {"cmd": SLEEP}})
    (first,) = running.wait_phase("w")
    assert running.ctl("incr", "w", "3")["numprocesses"] == 4
    running.wait_phase("w", count=4)
    assert running.ctl("decr", "w", "3")["numprocesses"] == 1
    assert [row["pid"] for row in running.wait_phase("w")] == [first["pid"]]


def test_a_restart_is_a_new_life_of_every_worker(daemon: StartDaemon) -> None:
    running = daemon(watchers={"w": {"cmd": SLEEP, "numprocesses": 2}})
    before = {row["pid"] for row in running.wait_phase("w", count=2)}
    running.ctl("restart", "w")
    after = {row["pid"] for row in running.wait_phase("w", count=2)}
    assert not before & after


def test_a_signal_reaches_the_worker_it_is_meant_for(daemon: StartDaemon, tmp_path: Path) -> None:
    got = tmp_path / "got"
    cmd = sh(f"trap 'echo $$ >> {quoted(got)}' USR1; while :; do sleep 0.05; done")
    running = daemon(watchers={"w": {"cmd": cmd, "numprocesses": 2, "graceful_timeout": 1}})
    rows = running.wait_phase("w", count=2)
    second = next(row for row in rows if row["wid"] == 2)
    running.ctl("signal", "w", "USR1", "--wid", "2")
    until(lambda: lines_of(got) == [str(second["pid"])], why="the signal's evidence")


def test_output_goes_to_the_file_that_was_named(daemon: StartDaemon, tmp_path: Path, way_to_spawn: None) -> None:
    out, err = tmp_path / "out", tmp_path / "err"
    cmd = sh("echo to-out; echo to-err >&2; exec sleep 1000")
    daemon(watchers={"w": {"cmd": cmd, "stdout": str(out), "stderr": str(err)}})
    until(lambda: lines_of(out) == ["to-out"] and lines_of(err) == ["to-err"], why="the output")
    assert out.stat().st_mode & 0o777 == 0o640


def test_a_worker_is_what_its_configuration_says(daemon: StartDaemon, tmp_path: Path, way_to_spawn: None) -> None:
    seen = tmp_path / "seen"
    code = (
        "import os, resource, json\n"
        "document = dict(uid=os.getresuid(), gid=os.getresgid(), groups=os.getgroups(), cwd=os.getcwd(),\n"
        "  umask=os.umask(0), nice=os.nice(0), nofile=resource.getrlimit(resource.RLIMIT_NOFILE),\n"
        "  env=dict(os.environ),\n"
        "  core=resource.getrlimit(resource.RLIMIT_CORE), session=os.getsid(0) == os.getpid(),\n"
        "  oom=int(open('/proc/self/oom_score_adj').read()), fds=sorted(map(int, os.listdir('/proc/self/fd'))),\n"
        "  stdin=os.readlink('/proc/self/fd/0'), blocked=[l.split()[1] for l in open('/proc/self/status')\n"
        "  if l.startswith(('SigBlk', 'SigIgn'))])\n"
        "print(json.dumps(document), flush=True)\nimport time; time.sleep(1000)"
    )
    spec = {
        "cmd": python(code),
        "stdout": str(seen),
        "uid": 65534,
        "gid": 65534,
        "groups": [12],
        "umask": "027",
        "nice": 5,
        "working_dir": "/usr",
        "oom_score_adj": 100,
        "env": {"GREETING": "costs $5"},
        "rlimits": {"nofile": 512, "core": 0},
    }
    daemon(watchers={"w": spec})
    until(lambda: len(lines_of(seen)) == 1, why="the worker's evidence")
    found = json.loads(seen.read_text())
    assert found["uid"] == [65534] * 3 and found["gid"] == [65534] * 3 and found["groups"] == [12]
    assert found["cwd"] == "/usr" and found["umask"] == 0o027 and found["nice"] == 5
    assert found["nofile"] == [512, 512] and found["core"] == [0, 0]
    assert found["session"] and found["oom"] == 100 and found["stdin"] == "/dev/null"
    assert found["env"]["GREETING"] == "costs $5"
    assert len(found["fds"]) == 4, "0, 1, 2 and the listing's own"
    assert int(found["blocked"][0], 16) == 0
    assert int(found["blocked"][1], 16) & ~0x1001000 == 0, "Python itself ignores SIGPIPE and SIGXFSZ"


def test_a_second_daemon_of_the_same_name_is_refused(daemon: StartDaemon) -> None:
    running = daemon(watchers={"w": {"cmd": SLEEP}})
    second = Daemon(running.directory, running.name, {"watchers": {"w": {"cmd": SLEEP}}})
    second.start()
    assert second.process is not None
    assert second.process.wait(30) == 4
    assert "already" in second.output or "another daemon" in second.output
    running.wait_phase("w")


def test_a_broken_configuration_starts_nothing(tmp_path: Path, scratch_name: str) -> None:
    mark = tmp_path / "mark"
    broken = Daemon(tmp_path, scratch_name, {"watchers": {"a": {"cmd": ["touch", str(mark)]}, "b": {"cmdd": "x"}}})
    broken.start()
    assert broken.process is not None
    assert broken.process.wait(30) == 2
    assert "cmdd" in broken.output and f"{broken.config}:" in broken.output
    assert not mark.exists()


def test_a_configuration_that_others_can_write_is_refused(tmp_path: Path, scratch_name: str) -> None:
    open_to_all = Daemon(tmp_path, scratch_name, {"watchers": {"a": {"cmd": SLEEP}}})
    open_to_all.config.chmod(0o666)
    open_to_all.start()
    assert open_to_all.process is not None
    assert open_to_all.process.wait(30) == 2


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_at_any_time_of_the_start_ends_it_cleanly(tmp_path: Path, scratch_name: str, signum: int) -> None:
    for delay in (0.3, 0.5, 0.7, 1.0):
        starting = Daemon(tmp_path, scratch_name, {"watchers": {"w": {"cmd": SLEEP, "numprocesses": 50}}})
        starting.start(executed=True)
        assert starting.process is not None
        try:
            starting.process.wait(delay)
        except subprocess.TimeoutExpired:
            starting.process.send_signal(signum)
        status = starting.process.wait(60)
        assert status in (0, 1, -signum), starting.output
        starting.process = None


def test_an_unknown_watcher_or_command_is_refused_and_the_daemon_stays(daemon: StartDaemon) -> None:
    running = daemon(watchers={"w": {"cmd": SLEEP}})
    with pytest.raises(Refused, match="not found"):
        running.ctl("stop", "nobody")
    with pytest.raises(Refused):
        running.ctl("signal", "w", "SIGNONSENSE")
    running.wait_phase("w")


def test_the_worker_sees_its_environment_and_nothing_of_the_daemons(
    daemon: StartDaemon, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = tmp_path / "seen"
    monkeypatch.setenv("CIRCUS_CG_TEST_SECRET", "x")
    daemon(watchers={"w": {"cmd": ["/usr/bin/env"], "stdout": str(seen), "env": {"A": "1"}}})
    until(lambda: "A=1" in lines_of(seen), why="the environment")
    assert not any("SECRET" in line for line in lines_of(seen))


def test_an_interrupt_that_python_would_swallow_ends_the_program_all_the_same(tmp_path: Path) -> None:
    """As one does in a callback of the import system: here an import that swallows it stands in for that instant."""
    (tmp_path / "click.py").write_text(
        "import os, signal\ntry:\n    os.kill(os.getpid(), signal.SIGINT)\nexcept KeyboardInterrupt:\n    pass\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run([PROGRAM, "run", "none.yaml"], env=environment, capture_output=True, check=False, timeout=60)
    assert done.returncode == -signal.SIGINT
