"""A configuration read again: which record holds, what it keeps of the one that runs, what it answers."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from circus_cg.arbiter import reconfigure
from circus_cg.arbiter.boot import ArbiterBoot, Network, Reread, Source, encode
from circus_cg.arbiter.reread import answer
from circus_cg.cgroup.hierarchy import Hierarchy, Layout
from circus_cg.errors import HostError
from circus_cg.spec import ArbiterSpec, WatcherSpec

LAYOUT = Layout("v2", (Hierarchy(2, "/sys/fs/cgroup", "/of/the/daemon", ("cpu", "memory", "pids")),))


@pytest.fixture
def running(tmp_path: Path) -> ArbiterBoot:
    """Its file is `shop.yaml` in `tmp_path`."""
    return ArbiterBoot(
        spec=ArbiterSpec(name="shop", watchers=(WatcherSpec(name="web", cmd=("sleep", "9")),)),
        layout=LAYOUT,
        identities={},
        environment={"A": "of the start"},
        python_path=("/of/the/start",),
        oom_score_adj=7,
        nofile=(256, 4096),
        runtime=str(tmp_path),
        state=str(tmp_path),
        sealed_at=100.0,
        source=Source(path=str(tmp_path / "shop.yaml")),
    )


def kept(running: ArbiterBoot, instance: str, **fields: Any) -> None:
    assert running.state is not None
    document = {"instance": instance, "boot": msgspec.to_builtins(replace(running, **fields))}
    Path(running.state, reconfigure.FILE).write_bytes(msgspec.json.encode(document))


def test_all_but_what_the_file_says_is_as_it_was(running: ArbiterBoot, tmp_path: Path) -> None:
    (tmp_path / "shop.yaml").write_text("name: shop\nwatchers: {queue: {cmd: sleep 9}}\n")
    found = answer(running)
    assert found.record is not None and found.wrong == ""
    (queue,) = found.record.spec.watchers
    assert queue.name == "queue" and found.record.sealed_at > running.sealed_at
    assert [watcher.name for watcher in found.record.retired] == ["web"]
    same = {"spec": None, "identities": None, "retired": (), "resealed": True, "sealed_at": 0.0}
    assert replace(found.record, **same) == replace(running, **same)


@pytest.mark.parametrize(
    ("text", "code", "why"),
    [
        ("name: shop\nwatchers: {web: {}}\n", "config", "shop.yaml:2"),
        ("name: other\n", "host", "cannot change name from 'shop' to 'other'"),
        ("name: shop\ncontrol: {tcp: 'tcp://127.0.0.1:7'}\n", "host", "cannot change control.tcp"),
    ],
)
def test_what_is_wrong_is_the_answer(running: ArbiterBoot, tmp_path: Path, text: str, code: str, why: str) -> None:
    (tmp_path / "shop.yaml").write_text(text)
    found = answer(running)
    assert found.record is None and found.code == code and why in found.wrong


def test_an_included_file_whose_name_is_not_utf8_is_told_about_all_the_same(
    running: ArbiterBoot, tmp_path: Path
) -> None:
    (tmp_path / "shop.yaml").write_text("name: shop\ninclude: ['part-*.yaml']\n")
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/part-\xe9.yaml")).write_text("watchers: {web: {}}\n")
    found = answer(running)
    assert found.record is None and "part-\\udce9.yaml:1" in found.wrong
    assert msgspec.json.decode(msgspec.json.encode(found), type=Reread) == found


def test_a_directory_of_the_start_that_is_gone_is_said(running: ArbiterBoot, tmp_path: Path) -> None:
    where = Source(path=str(tmp_path / "shop.yaml"), cwd=str(tmp_path / "gone"))
    found = answer(replace(running, source=where))
    assert f"was started in {where.cwd}: {os.strerror(2)}" in found.wrong


@pytest.mark.parametrize(
    ("instance", "sealed_at", "asked", "later"),
    [
        ("this", 101.0, "this", True),
        ("this", 101.0, None, True),
        ("this", 99.0, "this", False),
        ("earlier", 101.0, "this", False),
        ("earlier", 99.0, None, False),
    ],
)
def test_the_record_that_was_made_last_holds(
    running: ArbiterBoot, instance: str, sealed_at: float, asked: str | None, later: bool
) -> None:
    kept(running, instance, sealed_at=sealed_at, retired=(WatcherSpec(name="other", cmd=("true",)),))
    assert bool(reconfigure.latest(running, asked).retired) is later


NETWORK = Network(secret=b"k" * 32, keys="/keys", listener=9)


def test_the_endpoints_key_is_not_given_to_a_parser(running: ArbiterBoot) -> None:
    assert b"a2tr" in msgspec.json.encode(replace(running, network=NETWORK))
    assert b"a2tr" not in reconfigure.told_to_a_parser(replace(running, network=NETWORK))


def test_the_endpoints_key_is_not_put_down_and_the_next_arbiter_has_it_all_the_same(running: ArbiterBoot) -> None:
    sealed = replace(running, network=NETWORK)
    read_again = replace(sealed, sealed_at=101.0, retired=(WatcherSpec(name="other", cmd=("true",)),))
    reconfigure.put_down(read_again, "this")
    (path,) = Path(str(running.state)).iterdir()
    assert path.stat().st_mode & 0o777 == 0o600
    assert b"a2tr" not in path.read_bytes() and b"secret" not in path.read_bytes()
    assert reconfigure.latest(sealed, "this") == read_again


@pytest.mark.parametrize("network", [NETWORK, None])
def test_a_key_that_an_earlier_version_put_down_is_not_taken_for_the_keepers(
    running: ArbiterBoot, network: Network | None
) -> None:
    earlier = Network(secret=b"e" * 32, keys="/earlier")
    kept(running, "this", sealed_at=101.0, network=earlier)
    assert reconfigure.latest(replace(running, network=network), "this") == replace(
        running, sealed_at=101.0, network=network
    )


def test_of_a_program_that_keeps_nothing_on_disk_nothing_is_put_down(running: ArbiterBoot) -> None:
    reconfigure.put_down(replace(running, state=None), "this")
    assert list(Path(str(running.state)).iterdir()) == []


def test_whatever_is_not_utf8_has_a_name(running: ArbiterBoot) -> None:
    with pytest.raises(HostError, match=r"^cannot use the python_path: not UTF-8; rename what it names$"):
        encode(replace(running, python_path=("/opt/\udce9",)))
