"""`circus-cg check`: 0 if the text is right, whatever the host lacks; 2 with every problem if not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from circus_cg.cli.main import main


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "shop.yaml"
    path.touch(mode=0o600)
    return path


def check(config: Path, text: str, *options: str) -> Result:
    config.write_text(text)
    return CliRunner().invoke(main, ["check", str(config), "--cgroup-root", "/", *options])


def test_a_right_file_gets_one_line(config: Path) -> None:
    done = check(config, "name: shop\nwatchers: {web: {cmd: sh, numprocesses: 3}, jobs: {cmd: sh}}")
    assert (done.exit_code, done.stderr) == (0, "")
    assert done.stdout == f"{config}: ok, daemon 'shop' with 2 watchers and 4 workers, 0 warnings\n"


def test_a_wrong_file_gets_every_problem_and_status_2(config: Path) -> None:
    done = check(config, "nme: shop\nwatchers:\n  web: {}\n")
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr.splitlines() == [
        f"circus-cg: {config}:1: unknown key 'nme' at the top level; did you mean 'name'?",
        f"circus-cg: {config}:3: missing key 'cmd' in watcher 'web'",
    ]


def test_what_the_host_lacks_is_a_warning_and_status_0(config: Path) -> None:
    done = check(config, "watchers: {web: {cmd: no-such-program, working_dir: /no/such}}")
    assert done.exit_code == 0
    assert len(done.stderr.splitlines()) == 2
    assert all(line.startswith("circus-cg: warning: watcher 'web': ") for line in done.stderr.splitlines())
    assert done.stdout.endswith("2 warnings\n")


def test_a_program_reads_one_json_document(config: Path) -> None:
    done = check(config, "watchers: {web: {cmd: no-such-program}}", "--json")
    document = json.loads(done.stdout)
    assert (done.exit_code, document["ok"], document["problems"], len(document["warnings"])) == (0, True, [], 1)
    done = check(config, "watchers: {web: {}}", "--json")
    assert done.exit_code == 2
    assert json.loads(done.stdout) == {
        "ok": False,
        "problems": [f"{config}:1: missing key 'cmd' in watcher 'web'"],
        "warnings": [],
    }


INI = "[watcher:web]\ncmd = sh\nuid = no-such-user\nnumproceses = 2\non_demand = True\n"


@pytest.fixture
def ini(tmp_path: Path) -> Path:
    path = tmp_path / "circus.ini"
    path.touch(mode=0o600)
    return path


def test_what_circus_has_and_we_do_not_is_a_warning(ini: Path) -> None:
    done = check(ini, INI)
    assert done.exit_code == 0
    assert done.stderr.splitlines()[:2] == [
        f"circus-cg: warning: {ini}:4: unknown key 'numproceses' in [watcher:web]; did you mean 'numprocesses'?",
        f"circus-cg: warning: {ini}:5: on_demand: not yet: workers start at once, not at the first connection",
    ]
    assert "no user is named 'no-such-user'" in done.stderr
    assert json.loads(check(ini, INI, "--json").stdout)["warnings"][0].startswith(f"{ini}:4: unknown key")


def test_an_unknown_key_is_a_mistake_if_asked_to_be_strict(ini: Path) -> None:
    done = check(ini, INI, "--strict")
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr.splitlines() == [
        f"circus-cg: {ini}:4: unknown key 'numproceses' in [watcher:web]; did you mean 'numprocesses'?"
    ]
    assert json.loads(check(ini, INI, "--strict", "--json").stdout)["ok"] is False
    assert check(ini, INI.replace("numproceses", "numprocesses"), "--strict").exit_code == 0
