"""`run`, up to where the groups are made."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from circus_cg.cli import run as module
from circus_cg.cli.main import main
from circus_cg.errors import HostError
from circus_cg.keeper.succession import HELD_BACK

CONFIG = "name: shop\ncgroup_root: /\non_missing: warn\nwatchers: {w: {cmd: sleep 9, copy_env: true}}\n"


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Of a daemon whose directories are in `tmp_path`."""
    monkeypatch.setenv("CIRCUS_CG_RUNTIME_DIR", str(tmp_path / "run"))
    monkeypatch.setenv("CIRCUS_CG_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "shop.yaml"
    path.write_text(CONFIG)
    return path


@pytest.fixture
def blocked(monkeypatch: pytest.MonkeyPatch) -> Iterator[set[int]]:
    """What `run` holds back when it is about to make its groups, which it isn't let do."""
    found: set[int] = set()

    def claim(*_: object, **__: object) -> None:
        found.update(signal.pthread_sigmask(signal.SIG_BLOCK, ()))
        raise HostError("no further")

    monkeypatch.setattr(module, "claim", claim)
    monkeypatch.setattr(module, "_raise_nofile", lambda: (256, 4096))
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    yield found
    signal.pthread_sigmask(signal.SIG_SETMASK, before)


def run(config: str) -> Result:
    return CliRunner().invoke(main, ["run", config])


def test_each_signal_that_the_keeper_hears_waits_for_it(config: Path, blocked: set[int]) -> None:
    done = run(str(config))
    assert (done.exit_code, "no further" in done.stderr) == (3, True), done.stderr
    assert blocked >= HELD_BACK


def test_a_variable_that_is_not_utf8_is_named_while_nothing_is_made(
    config: Path, monkeypatch: pytest.MonkeyPatch, blocked: set[int]
) -> None:
    monkeypatch.setitem(os.environb, b"CITY", b"secret \xe9")
    done = run(str(config))
    assert done.exit_code == 3 and "secret" not in done.stderr
    assert "circus-cg: cannot use the environment variable 'CITY': not UTF-8; correct it, or unset it" in done.stderr
    assert not blocked and os.listdir(config.parent) == [config.name]


def test_so_are_a_configuration_s_path_and_the_working_directory(
    config: Path, monkeypatch: pytest.MonkeyPatch, blocked: set[int]
) -> None:
    foreign = Path(os.fsdecode(os.fsencode(config.parent) + b"/\xe9"))
    foreign.mkdir()
    config = config.rename(foreign / config.name)
    monkeypatch.chdir(foreign)
    done = run(str(config))
    assert done.exit_code == 3
    assert f"circus-cg: cannot use the configuration {str(config)!r}: not UTF-8; rename it" in done.stderr
    assert f"circus-cg: cannot use the working directory {str(foreign)!r}: not UTF-8; start" in done.stderr
    assert not blocked and os.listdir(foreign.parent) == [foreign.name]


def test_a_working_directory_that_was_removed_is_refused(
    config: Path, monkeypatch: pytest.MonkeyPatch, blocked: set[int]
) -> None:
    removed = config.parent / "removed"
    removed.mkdir()
    monkeypatch.chdir(removed)
    removed.rmdir()
    done = run(str(config))
    told = "circus-cg: cannot use the working directory: No such file or directory; start the daemon in another one\n"
    assert (done.exit_code, told in done.stderr) == (3, True), done.stderr
    assert not blocked and os.listdir(config.parent) == [config.name]


@pytest.mark.parametrize("which", ["RUNTIME", "STATE"])
def test_a_directory_that_can_t_be_made_is_a_failure_of_the_host(
    config: Path, monkeypatch: pytest.MonkeyPatch, blocked: set[int], which: str
) -> None:
    """Not one that another start would mend: by its status systemd tries none."""
    monkeypatch.setenv(f"CIRCUS_CG_{which}_DIR", str(config))
    done = run(str(config))
    told = f"circus-cg: cannot use {config}/shop: {config}: File exists; set CIRCUS_CG_{which}_DIR to another"
    assert (done.exit_code, told in done.stderr) == (3, True), done.stderr
    assert not blocked
