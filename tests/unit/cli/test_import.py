"""`circus-cg import`: YAML that means the same as a circus.ini, and a report of what has no equivalent."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from circus_cg.cli.main import main
from circus_cg.config import loader
from tests.unit.config import asking

TEXT = """\
[circus]
check_delay = 1
[watcher:web]
cmd = serve -p 80$(circus.wid)
numprocesses = 2
on_demand = True
limits.memory_max = 64M
[env]
SECRET = pa$word
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "circus.ini"
    path.touch(mode=0o600)
    path.write_text(TEXT)
    return path


def invoke(config: Path, *options: str) -> Result:
    return CliRunner(env=asking.ENVIRON).invoke(main, ["import", str(config), *options])


def test_yaml_goes_to_standard_output_and_the_report_to_the_other(config: Path) -> None:
    done = invoke(config)
    assert done.exit_code == 0
    assert (
        done.stdout
        == f"""\
# From circus.ini, by circus-cg import.
# A working_dir of {os.getcwd()} is where that was run: circus.ini sets none.
# line 2: check_delay: never: nothing is polled: the kernel tells of a death at once
watchers:
  # line 6: on_demand: not yet: workers start at once, not at the first connection
  web:
    cmd:
      - serve
      - "-p"
      - "80$(circus.wid)"
    numprocesses: 2
    env:
      SECRET: "pa$word"
    working_dir: {os.getcwd()}
    flapping:
      max_retry: -1
    limits:
      memory_max: 64M
"""
    )
    assert done.stderr.splitlines() == [
        f"circus-cg: warning: {config}:2: check_delay: never: nothing is polled: the kernel tells of a death at once",
        f"circus-cg: warning: {config}:6: on_demand: not yet: workers start at once, not at the first connection",
        f"{config}: 1 watcher written, 2 warnings; circus-cg check judges the result",
    ]


def test_where_the_current_directory_was_removed_workers_begin_in_the_root(
    config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    removed = tmp_path / "removed"
    removed.mkdir()
    monkeypatch.chdir(removed)
    removed.rmdir()
    done = invoke(config)
    assert (done.exit_code, "    working_dir: /\n" in done.stdout) == (0, True), done.output


def test_a_file_is_its_owner_s_alone_and_means_the_same(config: Path, tmp_path: Path) -> None:
    output = tmp_path / "shop.yaml"
    done = invoke(config, "--output", str(output))
    assert (done.exit_code, done.stdout) == (0, "")
    assert stat.S_IMODE(output.stat().st_mode) == 0o600
    assert loader.load(output) == loader.load(config)


def test_nothing_is_written_over(config: Path, tmp_path: Path) -> None:
    output = tmp_path / "shop.yaml"
    output.write_text("mine")
    done = invoke(config, "-o", str(output))
    assert (done.exit_code, output.read_text()) == (2, "mine")
    assert done.stderr == f"circus-cg: {output}: cannot write: it is there already; remove it or name another\n"
    done = invoke(config, "-o", str(tmp_path / "no/shop.yaml"))
    assert done.exit_code == 2
    assert done.stderr.endswith("shop.yaml: cannot write: No such file or directory; name another file\n")


def test_a_wrong_file_is_refused_and_nothing_is_made(config: Path, tmp_path: Path) -> None:
    config.write_text("[watcher:web]\nnumprocesses = x\n")
    done = invoke(config, "-o", str(tmp_path / "shop.yaml"))
    assert (done.exit_code, done.stdout, (tmp_path / "shop.yaml").exists()) == (2, "", False)
    assert len(done.stderr.splitlines()) == 2


def test_the_name_of_a_circus_ini_does_not_matter(config: Path) -> None:
    other = config.rename(config.with_name("circus.conf"))
    assert invoke(other).exit_code == 0


@pytest.mark.parametrize("text", ["0.000000007m", "0.000000001ms", "0.000000001ms 0.123456789m", "1d0.1ms"])
def test_no_digit_is_lost(config: Path, text: str) -> None:
    config.write_text(f"[watcher:web]\ncmd = serve\nmin_uptime = {text}\nlimits.cpu_max = 33.333333333%\n")
    assert invoke(config).exit_code == 0  # which compares


def test_a_comment_can_t_become_an_option(tmp_path: Path) -> None:
    config = tmp_path / "a\nname: evil.ini"
    config.touch(mode=0o600)
    config.write_text("[watcher:a]\ncmd = a\nhooks.x\x85y\u2028z = 1\n[plugin:x]\nuse = a\u2029b\n")
    done = invoke(config)
    assert done.exit_code == 0
    assert "\nname:" not in done.stdout


FOLDERS = [
    pytest.param(asking.EXAMPLES, id="examples"),
    pytest.param(
        asking.CORPUS,
        id="corpus",
        marks=[
            pytest.mark.host_may_lack("the corpus is no part of the project"),
            pytest.mark.skipif(not asking.CORPUS.is_dir(), reason="no ../shared/corpus beside the checkout"),
        ],
    ),
]


@pytest.mark.parametrize("source", FOLDERS)
def test_examples_and_corpus_are_checked_and_mean_the_same_as_yaml(source: Path, tmp_path: Path) -> None:
    folder = asking.trusted(source, tmp_path / "files")
    files = sorted(folder.glob("*.ini"))
    assert files
    for file in files:
        done = CliRunner().invoke(main, ["check", str(file), "--cgroup-root", "/"])
        assert done.exit_code == 0, (file, done.stderr)
        output = file.with_suffix(".yaml")
        if file.name == "unset.ini":  # circus leaves a reference to nothing as it is, YAML refuses it
            done = invoke(file, "-o", str(output))
            assert (done.exit_code, output.exists()) == (2, False)
            assert "the environment has no missing" in done.stderr
            continue
        assert invoke(file, "-o", str(output)).exit_code == 0
        assert loader.load(output) == loader.load_ini(file, {**os.environ, **asking.ENVIRON}).spec
