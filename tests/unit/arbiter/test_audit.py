"""The audit: a line of JSON for each command, in a file of ours alone, without any value that may be a secret."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import Any

import pytest

from circus_cg.arbiter.audit import Audit
from circus_cg.core.access import Caller, Role
from circus_cg.keeper.audit import UNAUDITED, opened
from circus_cg.rpc.server import Peer

PEER = Peer(Caller("alice", Role.OPERATE), "192.0.2.7", "a" * 64)


def audit_of(path: Path) -> Audit:
    return Audit(opened(str(path)), str(path))


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_command_is_a_line_that_says_who_and_what(tmp_path: Path) -> None:
    path = tmp_path / "audit.log"
    audit_of(path).command(PEER, "set", {"name": "web", "options": {"env.TOKEN": "s3cret"}}, "refused", 5)
    (line,) = lines(path)
    assert line.pop("time").endswith("+00:00")
    assert line == {
        "key": "alice",
        "role": "operate",
        "address": "192.0.2.7",
        "command": "set",
        "names": ["web"],
        "options": ["env.TOKEN"],
        "result": "refused",
        "errno": 5,
    }


@pytest.mark.parametrize(
    "properties",
    [
        {"name": "web", "cmd": "run s3cret", "args": ["s3cret"], "options": {"env": {"A": "s3cret"}}},
        {"name": {"s3cret": "s3cret"}},
        {"name": [["s3cret"], {"a": "s3cret"}]},
        {"keys": ["s3cret"], "options": ["s3cret"]},
    ],
)
def test_no_value_is_written(tmp_path: Path, properties: dict[str, Any]) -> None:
    path = tmp_path / "audit.log"
    audit_of(path).command(PEER, "add", properties, "ok", None)
    assert len(lines(path)) == 1 and "s3cret" not in path.read_text()


def test_a_client_can_not_write_lines_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "audit.log"
    audit_of(path).command(PEER, 'x\n{"key":"root"}', {"name": ["a\nb"] * 1000}, "ok", None)
    (line,) = lines(path)
    assert len(line["names"]) == 20


def test_no_terminal_obeys_what_a_client_wrote(tmp_path: Path) -> None:
    """JSON escapes only the older half of what one would."""
    path = tmp_path / "audit.log"
    audit_of(path).command(PEER, "x\x9b31m", {"name": "w\u202eb", "options": {"env.A\x7f\x9b2J": 1}}, "ok", None)
    (line,) = lines(path)
    assert (line["command"], line["names"], line["options"]) == ("x 31m", ["w b"], ["env.A  2J"])
    assert path.read_text().removesuffix("\n").isprintable()


def test_the_file_is_ours_alone_and_goes_on_where_it_ended(tmp_path: Path) -> None:
    path = tmp_path / "audit.log"
    path.write_text('{"before": 1}\n')
    path.chmod(0o644)
    audit_of(path).command(PEER, "ps", {}, "ok", None)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [next(iter(line)) for line in lines(path)] == ["before", "time"]


def test_what_only_looked_is_written_with_what_follows_in_the_order_of_both(tmp_path: Path) -> None:
    path = tmp_path / "audit.log"
    audit = audit_of(path)
    audit.look(PEER, "list", {}, "ok", None)
    audit.look(PEER, "ps", {}, "ok", None)
    assert lines(path) == []
    audit.command(PEER, "stop", {}, "ok", None)
    audit.look(PEER, "stats", {}, "ok", None)
    audit.turned_away("b" * 64, "192.0.2.66", "unknown key")
    assert [line["command"] for line in lines(path)] == ["list", "ps", "stop", "stats", None]
    times = [line["time"] for line in lines(path)]
    assert times == sorted(times)


@pytest.mark.parametrize("kind", ["link", "fifo", "directory"])
def test_what_is_no_plain_file_is_not_written_to(tmp_path: Path, kind: str) -> None:
    path, elsewhere = tmp_path / "audit.log", tmp_path / "elsewhere"
    elsewhere.write_text("")
    match kind:
        case "link":
            path.symlink_to(elsewhere)
        case "fifo":
            os.mkfifo(path)
        case _:
            path.mkdir()
    assert opened(str(path)) == UNAUDITED
    audit_of(path).command(PEER, "ps", {}, "ok", None)
    assert elsewhere.read_text() == ""


def test_who_knocks_without_a_key_can_not_fill_the_disk(tmp_path: Path) -> None:
    path = tmp_path / "audit.log"
    audit = audit_of(path)
    for _ in range(10_000):
        audit.turned_away("b" * 64, "192.0.2.66", "unknown key")
    assert 20 <= len(lines(path)) < 40
    assert lines(path)[0]["result"] == "unknown key"
