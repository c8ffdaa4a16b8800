"""A key may do exactly what its role allows, to exactly its watchers, and its audit says so."""

from __future__ import annotations

import json
from typing import Any

import pytest

from circus_cg.arbiter.commands import COMMANDS
from circus_cg.core.access import Role
from tests.functional.control.conftest import StartAfar
from tests.functional.evidence import arbiter_of


def forbidden(reply: dict[str, Any]) -> bool:
    return reply["status"] == "error" and ", this needs " in reply["reason"]


@pytest.mark.parametrize("role", list(Role), ids=lambda role: role.word)
def test_a_role_allows_exactly_its_commands(afar: StartAfar, role: Role) -> None:
    running = afar()
    with running.client(running.key("k", role.word)) as peer:
        refused = {name for name in sorted(COMMANDS) if name != "quit" and forbidden(peer.ask(name))}
        assert refused == {name for name, command in COMMANDS.items() if command.role > role} - {"quit"}
        if role is not Role.ADMIN:
            assert forbidden(peer.ask("quit"))
    results = {line["command"]: line["result"] for line in running.audit if line["key"] == "k"}
    assert {name for name, result in results.items() if result == "forbidden"} - {"quit"} == refused
    assert arbiter_of(running.daemon.pid)


def test_a_key_of_some_watchers_sees_these_alone(afar: StartAfar) -> None:
    running = afar()
    with running.client(running.key("k", "operate", "web*")) as peer:
        assert peer.ask("list")["watchers"] == ["web", "web-2"]
        assert peer.ask("status")["statuses"].keys() == {"web", "web-2"}
        assert {row["watcher"] for row in peer.ask("ps", name="*", match="glob")["workers"]} == {"web", "web-2"}
        assert peer.ask("stats")["infos"].keys() == {"web", "web-2"}
        assert peer.ask("numprocesses")["numprocesses"] == 2
        for command in ("status", "ps", "options", "stop", "stats", "incr"):
            reason = peer.ask(command, name="db")["reason"]
            assert "program db not found" in reason and "watchers here: web, web-2" in reason
        pid = running.daemon.workers("db")[0]["pid"]
        assert "no worker has that pid" in peer.ask("stats", process=pid)["reason"]


def test_a_key_of_some_watchers_changes_these_alone(afar: StartAfar) -> None:
    running = afar()
    before = running.daemon.workers("db")[0]["pid"]
    with running.client(running.key("k", "operate", "web*")) as peer:
        assert peer.ask("stop", waiting=True)["statuses"] == {"web": "stopped", "web-2": "stopped"}
        assert peer.ask("stop", name=".*", match="regex", waiting=True)["status"] == "ok"
        assert peer.ask("signal", name="DB", signum=9)["status"] == "error"
    assert running.daemon.workers("db")[0]["pid"] == before
    assert running.daemon.ctl("status")["statuses"]["db"] == "active"


def test_a_key_of_some_watchers_adds_and_removes_these_alone(afar: StartAfar) -> None:
    running = afar()
    with running.client(running.key("k", "admin", "web*")) as peer:
        assert "for the watchers web*" in peer.ask("add", name="other", cmd="sleep 9")["reason"]
        assert peer.ask("add", name="web-9", cmd="sleep 999", start=True, waiting=True)["status"] == "ok"
        assert "not found" in peer.ask("rm", name="db")["reason"]
        assert peer.ask("rm", name="web-2", waiting=True)["status"] == "ok"
        for command in ("quit", "dstats", "globaloptions", "numwatchers"):
            assert "it concerns the whole daemon" in peer.ask(command)["reason"]
    assert set(running.daemon.ctl("list")["watchers"]) == {"db", "web", "web-9"}


def test_secrets_are_read_by_who_may_operate_and_written_nowhere(afar: StartAfar) -> None:
    running = afar()
    running.key("looks", "observe")
    running.key("admin", "admin")
    with running.client(running.pairs["looks"]) as peer:
        assert forbidden(peer.ask("options", name="db"))
    with running.client(running.pairs["admin"]) as peer:
        assert peer.ask("get", name="db", keys=["env"])["options"] == {"env": {"TOKEN": "s3cret"}}
        assert peer.ask("set", name="db", options={"env.TOKEN": "n3w", "nice": "n3w"})["status"] == "error"
        assert peer.ask("set", name="db", options={"env.TOKEN": "n3w"}, waiting=True)["status"] == "ok"
        assert peer.ask("add", name="new", cmd="echo n3w", options={"env": {"A": "n3w"}})["status"] == "ok"
    with running.client(running.pairs["looks"]) as peer:
        told = json.dumps(peer.ask("events"))
        assert '"refused"' in told and "s3cret" not in told and "n3w" not in told
    audit = running.directory / "state" / running.daemon.name / "audit.log"
    assert audit.stat().st_mode & 0o777 == 0o600
    for text in (audit.read_text(), running.daemon.output):
        assert "s3cret" not in text and "n3w" not in text
    line = next(line for line in running.audit if line["command"] == "set" and line["result"] == "ok")
    assert {key: line[key] for key in ("key", "address", "names", "options")} == {
        "key": "admin",
        "address": "127.0.0.1",
        "names": ["db"],
        "options": ["env.TOKEN"],
    }


def test_local_commands_that_change_something_are_audited_too(afar: StartAfar) -> None:
    running = afar()
    running.daemon.ctl("status")
    running.daemon.ctl("incr", "web")
    lines = [(line["key"], line["address"], line["command"], line["result"]) for line in running.audit]
    assert lines == [("local", "local", "incr", "ok")]
