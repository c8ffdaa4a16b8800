"""Who may ask for what: one table, which no command is left out of; and what a key of some watchers sees."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import pytest

from circus_cg.arbiter.arbiter import Arbiter
from circus_cg.arbiter.commands import COMMANDS, Commands
from circus_cg.arbiter.view import View
from circus_cg.core.access import Caller, Role
from circus_cg.rpc.messages import BadMessage, Forbidden

# Of the daemon as a whole, or without a name to judge by: not for a key of some watchers.
WHOLE = {"dstats", "globaloptions", "numwatchers", "quit"}


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_every_command_declares_its_role(command: str) -> None:
    assert COMMANDS[command].role in Role


@pytest.mark.parametrize("command", ["add", "set", "rm", "quit"])
def test_what_runs_other_commands_or_none_is_the_admins(command: str) -> None:
    assert COMMANDS[command].role is Role.ADMIN


@pytest.mark.parametrize("command", ["options", "get"])
def test_who_only_looks_does_not_read_the_environment(command: str) -> None:
    """It has the secrets in it."""
    assert COMMANDS[command].role is not Role.OBSERVE


def test_commands_of_the_whole_daemon_are_known_as_such() -> None:
    assert {name for name, command in COMMANDS.items() if not command.names_watchers} >= WHOLE


def run(command: str, caller: Caller, **properties: Any) -> Any:
    """No arbiter is needed by what is refused."""
    commands = Commands(cast(Arbiter, SimpleNamespace(runners={})))
    return asyncio.run(commands.run(command, properties, caller=caller))


@pytest.mark.parametrize("role", list(Role))
@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_a_role_below_the_commands_own_is_refused_before_its_words_are_read(command: str, role: Role) -> None:
    wanted = Forbidden if role < COMMANDS[command].role else BadMessage
    with pytest.raises(wanted) as refused:
        run(command.upper(), Caller("key", role, ("web",)), wrong=1, name={"a": 1})
    if wanted is BadMessage and command not in WHOLE:
        assert not isinstance(refused.value, Forbidden) or not COMMANDS[command].names_watchers


@pytest.mark.parametrize("command", sorted(WHOLE))
def test_what_concerns_the_whole_daemon_is_not_for_a_key_of_some_watchers(command: str) -> None:
    with pytest.raises(Forbidden, match="for the watchers web"):
        run(command, Caller("key", Role.ADMIN, ("web",)))


def test_a_watcher_can_not_be_added_beyond_the_keys_own() -> None:
    with pytest.raises(Forbidden, match="cannot add 'db'"):
        run("add", Caller("key", Role.ADMIN, ("web-*",)), name="db", cmd="true")


def test_a_worker_of_very_many_digits_is_no_workers_name() -> None:
    """Python reads no number of so many."""
    with pytest.raises(BadMessage, match="not found"):
        run("exec", Caller("key", Role.ADMIN), name="web." + "9" * 5000, cmd=["true"])


def view(runners: dict[str, str]) -> tuple[Any, SimpleNamespace]:
    arbiter = SimpleNamespace(runners=runners, stopping=False)
    return View.of(cast(Arbiter, arbiter), Caller("key", Role.ADMIN, ("web*",)).sees), arbiter


def test_watchers_of_others_are_not_there() -> None:
    seen, _ = view({"web": "w", "db": "d", "web2": "w2"})
    assert list(seen.runners) == ["web", "web2"] and len(seen.runners) == 2
    assert "db" not in seen.runners and seen.runners.get("db") is None
    assert list(seen.runners.values()) == ["w", "w2"]
    with pytest.raises(KeyError):
        seen.runners["db"]


def test_what_is_done_through_a_view_is_done_to_the_arbiter() -> None:
    seen, arbiter = view({"web": "w", "db": "d"})
    seen.runners["web3"] = "w3"
    del seen.runners["web"]
    assert arbiter.runners == {"db": "d", "web3": "w3"}
    arbiter.stopping = True
    assert seen.stopping is True


def test_watchers_of_others_can_not_be_changed_through_a_view() -> None:
    seen, arbiter = view({"web": "w", "db": "d"})
    with pytest.raises(Forbidden):
        seen.runners["db"] = "x"
    with pytest.raises(Forbidden):
        del seen.runners["db"]
    assert arbiter.runners == {"web": "w", "db": "d"}
