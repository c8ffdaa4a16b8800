"""What the daemon itself does as its configuration says: its pidfile, its log."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest

from tests.conftest import SLOWNESS, until
from tests.functional.conftest import StartDaemon
from tests.functional.daemon import Daemon
from tests.functional.evidence import arbiter_of

SLEEP = {"w": {"cmd": ["sleep", "1000"]}}


def test_the_pidfile_names_the_keeper_and_goes_with_it(daemon: StartDaemon, tmp_path: Path) -> None:
    pidfile, victim = tmp_path / "shop.pid", tmp_path / "victim"
    victim.write_text("mine")
    pidfile.symlink_to(victim)
    running = daemon(pidfile=str(pidfile), watchers=SLEEP)
    assert pidfile.read_text() == f"{running.pid}\n"
    assert (pidfile.stat().st_mode & 0o777, pidfile.is_symlink(), victim.read_text()) == (0o644, False, "mine")
    assert running.terminate() == 0
    assert not pidfile.exists()


def test_what_another_has_put_there_meanwhile_stays(daemon: StartDaemon, tmp_path: Path) -> None:
    pidfile = tmp_path / "shop.pid"
    running = daemon(pidfile=str(pidfile), watchers=SLEEP)
    pidfile.write_text("1\n")
    running.terminate()
    assert pidfile.read_text() == "1\n"


def run(directory: Path, name: str, **configuration: object) -> subprocess.CompletedProcess[str]:
    """Of a daemon that is not to start."""
    made = Daemon(directory, name, {"watchers": {}, **configuration})
    command = [made.program, "run", str(made.config)]
    return subprocess.run(
        command, env=made.environment, capture_output=True, text=True, timeout=30 * SLOWNESS, check=False
    )


def test_a_pidfile_of_a_daemon_that_lives_is_refused(daemon: StartDaemon, tmp_path: Path, scratch_name: str) -> None:
    pidfile = tmp_path / "shop.pid"
    running = daemon(pidfile=str(pidfile), watchers=SLEEP)
    done = run(tmp_path, f"{scratch_name}-2", pidfile=str(pidfile))
    assert done.returncode != 0
    assert f"another daemon (pid {running.pid})" in done.stderr
    assert pidfile.read_text() == f"{running.pid}\n"
    for directory in Path("/sys/fs/cgroup").glob(f"**/circus-cg/{scratch_name}-2"):
        pytest.fail(f"{directory} was left")


@pytest.mark.parametrize("option", ["pidfile", "logoutput"])
def test_where_others_can_write_nothing_is(tmp_path: Path, scratch_name: str, option: str) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o777)
    done = run(tmp_path, scratch_name, **{option: str(shared / "file")})
    assert done.returncode != 0
    assert f"others can write {shared}" in done.stderr
    assert list(shared.iterdir()) == []


def test_the_log_goes_to_its_file_by_its_level_and_workers_keep_their_output(
    daemon: StartDaemon, tmp_path: Path
) -> None:
    log = tmp_path / "daemon.log"
    cmd = ["sh", "-c", "echo from the worker >&2; exec sleep 1000"]
    running = daemon(logoutput=str(log), loglevel="debug", watchers={"w": {"cmd": cmd}})
    until(lambda: "w.1 starting -> ready" in log.read_text(), why="a line for debuggers")
    until(lambda: "from the worker" in running.output, why="the worker's line")
    first = arbiter_of(running.pid)
    assert first is not None
    os.kill(first, signal.SIGKILL)
    until(lambda: "circus-cg keeper: arbiter died (signal 9)" in log.read_text(), why="the keeper's word")
    assert "from the worker" not in log.read_text()
    assert "circus-cg" not in running.output
    running.wait_answering()


def test_a_level_leaves_the_rest_out(daemon: StartDaemon) -> None:
    running = daemon(loglevel="error", watchers={"w": {"cmd": ["/no/such/program"], "max_retry": 0}})
    running.wait_phase("w", "failed")
    assert "circus-cg" not in running.output
