"""Requests as circus's clients send them, and what is wrong with a request."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from circus_cg.arbiter.commands import COMMANDS
from circus_cg.rpc.messages import BadMessage, Errno, Set, decode_request, error, ok, properties

# As circus 0.19's own command line builds them.
CIRCUS: list[tuple[str, dict[str, Any]]] = [
    ("add", {"name": "w", "cmd": "sleep 1", "start": True, "options": {"uid": "root"}, "args": ["-x"]}),
    ("rm", {"name": "w", "waiting": False}),
    ("start", {"name": "w", "match": "glob", "waiting": True}),
    ("stop", {}),
    ("restart", {"name": "^w", "match": "regex"}),
    ("incr", {"name": "w", "nb": 2, "waiting": False}),
    ("decr", {"name": "w", "nb": 2, "waiting": False}),
    ("numprocesses", {"name": "w"}),
    ("numwatchers", {}),
    ("list", {"name": "w"}),
    ("status", {}),
    ("options", {"name": "w"}),
    ("get", {"name": "w", "keys": ["numprocesses"]}),
    ("set", {"name": "w", "options": {"numprocesses": 2}, "waiting": False}),
    ("globaloptions", {"option": "endpoint"}),
    ("stats", {"name": "w", "process": 12, "extended": True}),
    ("stats", {"name": "w", "process": "12"}),
    ("dstats", {}),
    ("signal", {"name": "w", "signum": 15, "pid": 1, "childpid": 2, "children": True, "recursive": True}),
    ("signal", {"name": "w", "signum": "hup", "child_pid": 2, "pid": 1}),
    ("kill", {"name": "w", "pid": 1, "signum": 9, "graceful_timeout": 0.5, "waiting": True}),
    ("quit", {"waiting": True}),
]


@pytest.mark.parametrize(("command", "given"), CIRCUS, ids=lambda part: part if isinstance(part, str) else "")
def test_circuss_own_requests_are_understood(command: str, given: dict[str, Any]) -> None:
    read = properties(command, COMMANDS[command].asks, given)
    assert all(getattr(read, key) == value for key, value in given.items())


@pytest.mark.parametrize(
    ("command", "given"),
    [
        ("add", {"name": "w"}),
        ("incr", {"name": "w", "nb": "two"}),
        ("start", {"match": "fuzzy"}),
        ("set", {"name": "w", "options": []}),
        ("rm", {}),
        ("signal", {"name": "w"}),
        ("status", {"name": {"a": 1}}),
        ("wait", {"state": "asleep"}),
    ],
)
def test_wrong_properties_are_refused_with_the_commands_name(command: str, given: dict[str, Any]) -> None:
    with pytest.raises(BadMessage, match=f"cannot run '{command}'") as refused:
        properties(command, COMMANDS[command].asks, given)
    assert refused.value.errno is Errno.BAD_MSG_DATA


@pytest.mark.parametrize("number", [2**63, -(2**63) - 1, 10**4299], ids=["over", "under", "endless"])
@pytest.mark.parametrize(
    ("command", "where"),
    [
        ("incr", lambda number: {"name": "w", "nb": number}),
        ("signal", lambda number: {"name": "w", "signum": number}),
        ("kill", lambda number: {"name": "w", "graceful_timeout": number}),
        ("set", lambda number: {"name": "w", "options": {"rlimits": {"nofile": [1, number]}}}),
    ],
    ids=["nb", "signum", "time", "option"],
)
def test_a_number_beyond_64_bits_is_refused_wherever_it_is(
    command: str, where: Callable[[int], dict[str, Any]], number: int
) -> None:
    """Its digits may be too many for Python to write, and for a float."""
    with pytest.raises(BadMessage, match=f"cannot run '{command}': a number is out of range") as refused:
        properties(command, COMMANDS[command].asks, where(number))
    assert refused.value.errno is Errno.BAD_MSG_DATA


def test_the_largest_and_the_least_number_are_taken() -> None:
    options = {"a": 2**63 - 1, "b": [-(2**63), True]}
    assert properties("set", Set, {"name": "w", "options": options}).options == options


@pytest.mark.parametrize(
    ("body", "errno"),
    [
        (b"", Errno.INVALID_JSON),
        (b"{", Errno.INVALID_JSON),
        (b"\xff", Errno.INVALID_JSON),
        (b'{"command": "ps", "properties": {"a": ' + b"[" * 100_000, Errno.INVALID_JSON),
        (b'{"command": "ps", "properties": {"a": ' + b"[" * 32 + b"]" * 32 + b"}}", Errno.INVALID_JSON),
        (b'{"command": "ps", "properties": ' + b'{"a":' * 33 + b"1" + b"}" * 33 + b"}", Errno.INVALID_JSON),
        (b"[]", Errno.MESSAGE_ERROR),
        (b"{}", Errno.MESSAGE_ERROR),
        (b'{"command": 5}', Errno.MESSAGE_ERROR),
        (b'{"command": "ps", "properties": []}', Errno.MESSAGE_ERROR),
    ],
)
def test_what_is_no_request_is_refused_by_circuss_numbers(body: bytes, errno: Errno) -> None:
    with pytest.raises(BadMessage) as refused:
        decode_request(body)
    assert refused.value.errno is errno


def test_lists_within_each_other_have_a_bound_that_no_command_comes_near() -> None:
    deep = b'{"command": "ps", "properties": {"a": ' + b"[" * 31 + b"]" * 31 + b"}}"
    assert decode_request(deep).command == "ps"


def test_a_cast_wants_no_reply() -> None:
    assert not decode_request(b'{"command": "ps", "msg_type": "cast"}').wants_reply
    assert decode_request(b'{"command": "ps"}').wants_reply


def test_replies_carry_what_circuss_clients_look_for() -> None:
    assert ok("i", 1.5, {"numwatchers": 2}) == b'{"id":"i","status":"ok","time":1.5,"numwatchers":2}'
    assert error("i", 1.5, "no", Errno.COMMAND_ERROR) == (
        b'{"id":"i","status":"error","time":1.5,"reason":"no","errno":5}'
    )
