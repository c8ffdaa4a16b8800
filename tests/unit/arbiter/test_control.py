"""Every request is answered and audited as what came of it: no error that nobody foresaw ends the arbiter."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple, cast

import msgspec
import pytest

from circus_cg.arbiter.audit import Audit
from circus_cg.arbiter.commands import Commands
from circus_cg.arbiter.control import Control
from circus_cg.core.access import Caller, Role
from circus_cg.errors import CommandRefused
from circus_cg.keeper import log
from circus_cg.keeper.audit import opened
from circus_cg.keeper.wire import Closed
from circus_cg.rpc.messages import BadMessage, Errno, Forbidden
from circus_cg.rpc.server import Peer

PEER = Peer(Caller("alice", Role.ADMIN), "192.0.2.7", "a" * 64)

Work = Callable[[], dict[str, Any] | Awaitable[dict[str, Any]]]


class Came(NamedTuple):
    """Of one request: what was answered, audited, logged as an error, and what reached the loop."""

    reply: dict[str, Any] | None
    audited: list[tuple[str, int | None]]
    logged: list[str]
    broke: list[BaseException]


@pytest.fixture
def ask(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Came]:
    logged: list[str] = []
    monkeypatch.setattr(log, "_sinks", [lambda who, text, level: logged.append(text) if level == "error" else None])
    path = tmp_path / "audit.log"

    async def asked(work: Work, waits: bool, kind: str) -> Came:
        async def later() -> dict[str, Any]:
            return cast(dict[str, Any], work())

        broke: list[BaseException] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: broke.append(context["exception"]))
        commands = SimpleNamespace(begin=lambda *_: later() if waits else work())
        replies: list[bytes] = []
        control = Control(cast(Commands, commands), Audit(opened(str(path)), str(path)))
        request = {"id": "7", "command": "stop", "msg_type": kind}

        def reply(body: bytes) -> bool:
            replies.append(body)
            return True

        try:
            running = control.handle(msgspec.json.encode(request), PEER, reply)
            if running is not None:
                await running.task
        except Exception as failed:
            broke.append(failed)
        lines = [json.loads(line) for line in path.read_text().splitlines()]
        (body,) = replies or [b"null"]
        return Came(json.loads(body), [(line["result"], line.get("errno")) for line in lines], logged, broke)

    def ask(work: Work, *, waits: bool = False, kind: str = "call") -> Came:
        return asyncio.run(asked(work, waits, kind))

    return ask


def raising(error: Exception) -> Work:
    def work() -> dict[str, Any]:
        raise error

    return work


@pytest.mark.parametrize("waits", [False, True])
def test_what_comes_of_a_command_is_answered_and_audited(ask: Callable[..., Came], waits: bool) -> None:
    came = ask(lambda: {"killed": [7]}, waits=waits)
    assert came.reply is not None and (came.reply["status"], came.reply["killed"]) == ("ok", [7])
    assert (came.audited, came.logged, came.broke) == ([("ok", None)], [], [])


@pytest.mark.parametrize("waits", [False, True])
@pytest.mark.parametrize(
    ("error", "result", "errno"),
    [
        (Forbidden("no"), "forbidden", Errno.COMMAND_ERROR),
        (BadMessage(Errno.BAD_MSG_DATA, "no"), "refused", Errno.BAD_MSG_DATA),
        (CommandRefused("no"), "refused", Errno.COMMAND_ERROR),
        (OSError("no"), "failed", Errno.OS_ERROR),
    ],
)
def test_a_refusal_is_answered_in_its_own_words(
    ask: Callable[..., Came], waits: bool, error: Exception, result: str, errno: Errno
) -> None:
    came = ask(raising(error), waits=waits)
    assert came.reply is not None and (came.reply["reason"], came.reply["errno"]) == ("no", errno)
    assert (came.audited, came.logged, came.broke) == ([(result, errno)], [], [])


@pytest.mark.parametrize("waits", [False, True])
def test_an_error_that_nobody_foresaw_is_logged_and_answered_and_ends_nothing(
    ask: Callable[..., Came], waits: bool
) -> None:
    came = ask(raising(ZeroDivisionError("s3cret \x1b[2J" + "9" * 10_000)), waits=waits)
    assert came.reply is not None and came.reply["status"] == "error"
    assert came.reply["errno"] == Errno.NOT_SPECIFIED and "internal error (ZeroDivisionError)" in came.reply["reason"]
    assert "s3cret" not in came.reply["reason"], "who keeps the daemon reads it in the log"
    assert (came.audited, came.broke) == ([("failed", 0)], [])
    (line,) = came.logged
    assert "ZeroDivisionError('s3cret" in line and line.isprintable() and len(line) < 1000


@pytest.mark.parametrize("waits", [False, True])
def test_an_answer_that_json_can_not_carry_is_none_and_not_audited_as_one(
    ask: Callable[..., Came], waits: bool
) -> None:
    came = ask(lambda: {"cmdline": "\udce9"}, waits=waits)
    assert came.reply is not None and "internal error (UnicodeEncodeError)" in came.reply["reason"]
    assert (came.audited, came.broke, len(came.logged)) == ([("failed", 0)], [], 1)


def test_a_refusal_that_names_what_is_not_utf8_is_told(ask: Callable[..., Came]) -> None:
    came = ask(raising(FileNotFoundError(2, "No such file", "/opt/\udce9")))
    assert came.reply is not None and "/opt/\\udce9" in came.reply["reason"]


def test_a_cast_is_audited_and_not_answered(ask: Callable[..., Came]) -> None:
    came = ask(raising(ZeroDivisionError()), kind="cast")
    assert (came.reply, came.audited) == (None, [("failed", 0)])


@pytest.mark.parametrize("waits", [False, True])
def test_the_keepers_end_is_the_arbiters(ask: Callable[..., Came], waits: bool) -> None:
    came = ask(raising(Closed()), waits=waits)
    assert came.reply is None and [type(failed) for failed in came.broke] == [Closed]
