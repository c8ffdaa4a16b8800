"""A circus.ini runs as it is: environment, directory, limits and output as it says; what can't run is refused."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.conftest import until
from tests.functional.daemon import PROGRAM, Daemon
from tests.functional.evidence import lines_of

TELL = """\
sh -c 'echo "$(circus.wid) $ROLE $SECRET $(pwd) $(umask) $(ulimit -n) $(ulimit -c)"; echo told >&2; exec sleep 1000'"""
MAIN = """\
[circus]
name = {name}
umask = 027
include = conf.d/*.ini
check_delay = 1

[watcher:Front]
cmd = {tell}
numprocesses = 2
working_dir = {directory}/$(circus.env.role)
copy_env = True
stdout_stream.class = FileStream
stdout_stream.filename = {directory}/out
stderr_stream.filename = {directory}/err
stderr_stream.max_bytes = 1000
rlimit_nofile = 99
rlimit_core = 0
limits.pids_max = 17
watcher_limits.pids_max = 40
graceful_timeout = 5

[env:F*]
ROLE = front
SECRET = pa$word
"""
INCLUDED = "[watcher:late]\ncmd = sleep 1000\nautostart = False\n[watcher:Front]\ncmd = too late\n"


@pytest.fixture
def files(tmp_path: Path) -> Path:
    for name in ("conf.d", "front"):
        (tmp_path / name).mkdir(mode=0o755)
    (tmp_path / "conf.d/more.ini").touch(mode=0o600)
    (tmp_path / "conf.d/more.ini").write_text(INCLUDED)
    return tmp_path


def configured(directory: Path, name: str, text: str) -> Daemon:
    daemon = Daemon(directory, name, {})
    daemon.config = directory / "circus.ini"
    daemon.config.touch(mode=0o600)
    daemon.config.write_text(text)
    return daemon


def test_a_circus_ini_runs_as_it_is(files: Path, scratch_name: str) -> None:
    text = MAIN.format(name=scratch_name, tell=TELL, directory=files)
    with configured(files, scratch_name, text) as running:
        rows = running.wait_phase("front", count=2)
        told = [f"{wid} front pa$word {files}/front 0027 99 0" for wid in (1, 2)]
        until(lambda: sorted(lines_of(files / "out")) == told, why="what both workers tell of themselves")
        until(lambda: lines_of(files / "err") == ["told", "told"], why="their other output")
        groups = [Path(f"/proc/{row['pid']}/cgroup").read_text() for row in rows]
        assert all(f"/{scratch_name}/front/{row['wid']}." in one for row, one in zip(rows, groups, strict=True))
        assert running.ctl("status")["statuses"] == {"front": "active", "late": "stopped"}
        assert "circus.ini:5: check_delay: never: " in running.output
        assert "stderr_stream.max_bytes: not yet: " in running.output


def test_run_refuses_what_check_warns_of(files: Path, scratch_name: str) -> None:
    text = f"[circus]\nname = {scratch_name}\n[watcher:a]\ncmd = sleep 1000\nuid = no-such-user\n"
    daemon = configured(files, scratch_name, text)
    said = {}
    for verb in ("check", "run"):
        done = subprocess.run(
            [PROGRAM, verb, str(daemon.config)], env=daemon.environment, capture_output=True, text=True, check=False
        )
        said[verb] = (done.returncode, "no user is named 'no-such-user'" in done.stderr)
    assert said == {"check": (0, True), "run": (3, True)}
    assert not (files / "run" / scratch_name).exists()
