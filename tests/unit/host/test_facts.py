"""Facts: what a right configuration would miss on this host is told before it runs."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from circus_cg.host import totals
from circus_cg.host.facts import host_warnings
from circus_cg.spec import ArbiterSpec, Limits, PressurePolicy, WatcherSpec


def told(**options: Any) -> list[str]:
    return host_warnings(ArbiterSpec(watchers=(WatcherSpec(**{"name": "web", "cmd": ("sh",), **options}),)))


def test_what_is_there_is_not_mentioned(tmp_path: Path) -> None:
    assert told(cmd=("/bin/sh", "-c", "true"), working_dir=str(tmp_path), stdout=str(tmp_path / "log")) == []


def test_a_program_is_looked_for_on_the_worker_s_own_path(tmp_path: Path) -> None:
    program = tmp_path / "serve-it"
    program.touch(mode=0o700)
    assert told(cmd=("serve-it",), env={"PATH": str(tmp_path)}) == []
    assert told(cmd=("./serve-it",), working_dir=str(tmp_path)) == []
    (line,) = told(cmd=("serve-it",))
    assert line.startswith("watcher 'web': no program 'serve-it' on its PATH (/usr/local/sbin:")
    program.chmod(0o600)
    (line,) = told(cmd=(str(program),))
    assert "is no program that can be run" in line


def test_a_program_is_found_where_a_file_or_a_virtualenv_says(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "lib/python3.11/site-packages").mkdir(parents=True)
    (tmp_path / "bin/serve-it").touch(mode=0o700)
    spec = ArbiterSpec(watchers=(WatcherSpec(name="web", cmd=("serve-it",)),))
    assert host_warnings(spec, {"web": {"PATH": str(tmp_path / "bin")}}) == []
    assert told(cmd=("serve-it",), virtualenv=str(tmp_path)) == []
    assert len(host_warnings(spec, {"web": {"PATH": "/no/such"}})) == 1


@pytest.mark.parametrize(("uid", "warns"), [(0, True), (1, False)])
def test_ambient_capabilities_of_root_mean_nothing_and_that_is_told(uid: int, warns: bool) -> None:
    lines = told(uid=uid, ambient_capabilities=("kill",))
    assert [line.partition(",")[0] for line in lines] == ["watcher 'web': runs as root"] * warns


def test_a_missing_user_group_or_directory_is_told() -> None:
    lines = told(uid="no-such-user", working_dir="/no/such", stderr="/no/such/log", cmd=("/bin/sh",))
    assert [line.partition(";")[0] for line in lines] == [
        "cannot run watcher 'web': no user is named 'no-such-user'",
        "watcher 'web': no working_dir '/no/such'",
        "watcher 'web': no directory for stderr '/no/such/log'",
    ]


@pytest.mark.parametrize(("uid", "warns"), [(0, True), (None, os.geteuid() == 0), (1, False)])
def test_a_limited_worker_that_can_lift_its_limits_is_told(uid: int | None, warns: bool) -> None:
    lines = told(uid=uid, limits=Limits(pids_max=5))
    assert [line.partition(",")[0] for line in lines] == ["watcher web: runs as root"] * warns
    assert told(uid=uid) == []


def test_a_rule_that_needs_memory_pressure_is_told_where_the_kernel_tells_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = ArbiterSpec(
        pressure=PressurePolicy(),
        watchers=(WatcherSpec(name="web", cmd=("sh",), limits=Limits(memory_high=1 << 26), uid=1),),
    )
    monkeypatch.setattr(totals, "PRESSURE", tmp_path / "none")
    assert any(
        "pressure, memory_policy of web: this kernel tells no memory pressure" in one for one in host_warnings(spec)
    )
    (tmp_path / "there").write_text("some avg10=0.00 total=1\nfull avg10=12.50 avg60=0.00 total=1\n")
    monkeypatch.setattr(totals, "PRESSURE", tmp_path / "there")
    assert not any("pressure" in one for one in host_warnings(spec))
    assert totals.memory_full() == 12.5


def test_what_reclaim_has_scanned_is_summed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "vmstat").write_text("pgscan_kswapd 3\npgscan_direct 4\npgscan_direct_throttle 9\npgscan_file 9\n")
    monkeypatch.setattr(totals, "VMSTAT", tmp_path / "vmstat")
    assert totals.pages_scanned() == 7
    monkeypatch.setattr(totals, "VMSTAT", tmp_path / "none")
    assert totals.pages_scanned() is None
