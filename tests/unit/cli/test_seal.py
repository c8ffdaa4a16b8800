"""What an upgrade makes of a configuration that is read again: the next record, or a reason why there is none."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from circus_cg.arbiter.boot import ArbiterBoot
from circus_cg.cgroup.hierarchy import Hierarchy, Layout
from circus_cg.cli.seal import seal, with_the_watchers_of_now
from circus_cg.errors import ConfigError, HostError
from circus_cg.spec import ArbiterSpec, Limits, WatcherSpec

LAYOUT = Layout("v2", (Hierarchy(2, "/sys/fs/cgroup", "/of/the/daemon", ("cpu", "memory", "pids")),))


def watcher(name: str, **options: Any) -> WatcherSpec:
    return WatcherSpec(name=name, cmd=("sleep", "9"), **options)


def running(*watchers: WatcherSpec, retired: tuple[WatcherSpec, ...] = ()) -> ArbiterBoot:
    return ArbiterBoot(
        spec=ArbiterSpec(name="shop", watchers=watchers),
        layout=LAYOUT,
        identities={},
        environment={},
        oom_score_adj=0,
        nofile=(1, 1),
        runtime="/run/circus-cg/shop",
        state="/var/lib/circus-cg/shop",
        retired=retired,
    )


@pytest.fixture
def source(tmp_path: Path) -> dict[str, Any]:
    """For a configuration that `written` has put there."""
    return {"config": str(tmp_path / "shop.yaml"), "name": None, "cgroup_root": None, "nofile": [256, 4096]}


def written(source: dict[str, Any], text: str) -> dict[str, Any]:
    Path(source["config"]).write_text(text)
    return source


def test_the_daemon_stays_where_it_is_and_gives_workers_what_it_was_given(source: dict[str, Any]) -> None:
    old = running(watcher("web"))
    record, warnings = seal(old, written(source, "name: shop\nwatchers: {web: {cmd: sleep 9, numprocesses: 4}}\n"))
    assert record.spec.watchers == (watcher("web", numprocesses=4),)
    assert record.resealed and record.layout == LAYOUT and record.nofile == (256, 4096)
    assert (record.runtime, record.state) == (old.runtime, old.state)
    assert warnings == []


def test_watchers_that_are_no_more_are_known_until_they_are_again(source: dict[str, Any]) -> None:
    old = running(watcher("web"), watcher("queue"), retired=(watcher("first"), watcher("back")))
    record, _ = seal(old, written(source, "name: shop\nwatchers: {web: {cmd: sleep 9}, back: {cmd: sleep 9}}\n"))
    assert sorted(spec.name for spec in record.retired) == ["first", "queue"]


def test_watchers_that_only_a_reread_configuration_had_are_known(source: dict[str, Any], tmp_path: Path) -> None:
    sealed = replace(running(watcher("web")), state=str(tmp_path))
    last = replace(running(watcher("late")), state="/elsewhere", sealed_at=9.0, retired=(watcher("web"),))
    kept = {"instance": "i", "boot": msgspec.to_builtins(last)}
    (tmp_path / "configuration.json").write_bytes(msgspec.json.encode(kept))
    found = with_the_watchers_of_now(sealed, "i")
    assert found.state == sealed.state
    record, _ = seal(found, written(source, "name: shop\nwatchers: {}\n"))
    assert sorted(spec.name for spec in record.retired) == ["late", "web"]
    assert with_the_watchers_of_now(sealed, "another") == sealed


def test_the_command_line_of_the_start_still_counts(source: dict[str, Any]) -> None:
    text = "name: other\nwatchers: {web: {cmd: sleep 9}}\n"
    record, _ = seal(running(watcher("web")), written({**source, "name": "shop"}, text))
    assert record.spec.name == "shop"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("name: other\n", "cannot change name from 'shop' to 'other'"),
        ("name: shop\ncgroup_root: /x\n", "cannot change cgroup_root"),
    ],
)
def test_what_only_a_restart_can_change_is_refused(source: dict[str, Any], text: str, why: str) -> None:
    old = running(watcher("web", watcher_limits=Limits(pids_max=9)))
    with pytest.raises(HostError, match=why):
        seal(old, written(source, text))


def test_a_wrong_configuration_names_its_line(source: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=r"shop\.yaml:2"):
        seal(running(watcher("web")), written(source, "name: shop\nwatchers: {web: {}}\n"))


def test_a_variable_that_could_not_be_handed_on_is_refused(
    source: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(os.environb, b"CITY", b"\xe9")
    with pytest.raises(HostError, match="the environment variable 'CITY': not UTF-8"):
        seal(running(watcher("web")), written(source, "name: shop\nwatchers: {web: {cmd: sleep 9}}\n"))


def test_what_this_host_lacks_is_refused_too(source: dict[str, Any]) -> None:
    text = "name: shop\nwatchers: {web: {cmd: sleep 9, limits: {cpuset_cpus: '0'}}}\n"
    with pytest.raises(HostError, match=r"web\.limits"):
        seal(running(watcher("web")), written(source, text))
