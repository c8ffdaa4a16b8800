"""`circus-cg install-unit`: what it prints, and what it refuses before it writes anything."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from circus_cg.cli.main import main


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "shop.yaml"
    path.touch(mode=0o600)
    path.write_text("name: shop\nwatchers: {web: {cmd: sh}}")
    return path


def install_unit(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["install-unit", *arguments])


def test_the_unit_runs_this_installation_and_names_the_configuration_absolutely(
    config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(config.parent)
    done = install_unit("--config", "shop.yaml", "--print")
    assert done.exit_code == 0, done.output
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("ExecStart=")]
    program, *rest = line.removeprefix("ExecStart=").split()
    assert Path(program).is_absolute()
    assert rest[-2:] == ["run", str(config)]
    assert "Description=circus-cg: shop" in done.stdout.splitlines()


def test_another_name_goes_into_the_command_line(config: Path) -> None:
    done = install_unit("--config", str(config), "--name", "second", "--print")
    assert f"run {config} --name second" in done.stdout
    assert "Description=circus-cg: second" in done.stdout


@pytest.mark.parametrize("text", ["watchers: {web: {}}", "nme: shop"])
def test_a_wrong_configuration_makes_no_unit(config: Path, text: str) -> None:
    config.write_text(text)
    done = install_unit("--config", str(config), "--print")
    assert (done.exit_code, done.stdout) == (2, "")


def test_a_name_that_is_no_path_component_is_refused(config: Path) -> None:
    done = install_unit("--config", str(config), "--name", "../x", "--print")
    assert (done.exit_code, done.stdout) == (2, "")


def test_a_path_that_is_not_utf8_is_refused(config: Path) -> None:
    foreign = config.rename(os.fsdecode(os.fsencode(config.parent) + b"/\xe9.yaml"))
    done = install_unit("--config", str(foreign), "--print")
    assert (done.exit_code, done.stdout) == (3, "")
    assert "\\udce9.yaml' in a unit: not UTF-8" in done.stderr


def test_printing_and_enabling_exclude_each_other(config: Path) -> None:
    assert install_unit("--config", str(config), "--print", "--enable").exit_code == 2


def test_the_unit_grants_a_stop_what_the_configurations_workers_may_take(config: Path) -> None:
    config.write_text(
        "name: shop\nwatchers:\n"
        "  web: {cmd: sh, after: [db], graceful_timeout: 45s}\n"
        "  db: {cmd: sh, graceful_timeout: 20s}\n"
    )
    done = install_unit("--config", str(config), "--print")
    assert "TimeoutStopSec=95" in done.stdout.splitlines()
