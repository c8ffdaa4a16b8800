"""A configuration of several files is one: its workers run as all of it says, or nothing runs at all."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
import yaml

from tests.conftest import until
from tests.functional.conftest import StartDaemon
from tests.functional.daemon import PROGRAM, Daemon
from tests.functional.evidence import quoted, sh
from tests.scratch_groups import left_of


def write(path: Path, watchers: dict[str, object]) -> None:
    path.parent.mkdir(mode=0o700, exist_ok=True)
    path.touch(mode=0o600)
    path.write_text(yaml.safe_dump({"watchers": watchers}))


def test_an_included_watcher_s_worker_has_the_daemon_s_variables_and_the_common_env(
    daemon: StartDaemon, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = tmp_path / "seen"
    monkeypatch.setenv("CIRCUS_CG_TEST_WORDS", "two words")
    script = f'echo "$1|$COMMON|$OWN|$HOME|$(echo sub)|${{UNSET:-none}}" > {quoted(seen)}; exec sleep 1000'
    command = [*sh(script), "sh", "$(circus.env.CIRCUS_CG_TEST_WORDS)"]
    write(tmp_path / "more.d" / "a.yaml", {"a": {"cmd": command, "env": {"OWN": "its", "HOME": "/nowhere"}}})
    write(tmp_path / "more.d" / "b.yaml", {"b": {"cmd": ["sleep", "1000"]}})
    running = daemon(
        include=["more.d/*.yaml"],
        env={"COMMON": "((circus.env.CIRCUS_CG_TEST_WORDS))", "OWN": "everybody's"},
        watchers={"main": {"cmd": ["sleep", "1000"]}},
    )
    assert set(running.ctl("status")["statuses"]) == {"main", "a", "b"}
    until(lambda: seen.exists() and seen.read_text().endswith("\n"), why="the worker's evidence")
    assert seen.read_text() == "two words|two words|its|/nowhere|sub|none\n"


def test_a_mistake_in_an_included_file_starts_nothing(tmp_path: Path, scratch_name: str) -> None:
    seen = tmp_path / "seen"
    write(tmp_path / "more.d" / "a.yaml", {"a": {"cmd": "sleep 1000", "nise": 1}})
    configured = Daemon(
        tmp_path, scratch_name, {"include": ["more.d/*"], "watchers": {"main": {"cmd": sh(f"> {quoted(seen)}")}}}
    )
    done = subprocess.run(
        [PROGRAM, "run", str(configured.config)],
        env=configured.environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    where = f"{tmp_path}/more.d/a.yaml:4"
    assert done.stderr == f"circus-cg: {where}: unknown key 'nise' in watcher 'a'; did you mean 'nice'?\n"
    assert not seen.exists()
    assert not left_of(scratch_name)
