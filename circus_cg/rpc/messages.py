"""The control channel's words: circus's request/reply dialect, typed. Pure.

Request: {"id", "command", "properties", "msg_type"?}. Reply: {"id", "status": "ok"|"error", "time", ...}; an error adds
"reason" and "errno" (circus's numbers).
"""

from __future__ import annotations

from enum import IntEnum
from typing import Any, Literal, TypeVar

import msgspec

from circus_cg.errors import CircusCgError

MAX_MESSAGE = 1 << 20  # bytes; a larger request is refused unread


class Errno(IntEnum):
    """circus.commands.errors, by number."""

    NOT_SPECIFIED = 0
    INVALID_JSON = 1
    UNKNOWN_COMMAND = 2
    MESSAGE_ERROR = 3
    OS_ERROR = 4
    COMMAND_ERROR = 5
    BAD_MSG_DATA = 6


class BadMessage(CircusCgError):
    """The client's message is wrong; `errno` says how."""

    code = "bad-message"

    def __init__(self, errno: Errno, reason: str) -> None:
        super().__init__(reason)
        self.errno = errno


class Request(msgspec.Struct, kw_only=True):
    command: str
    id: str | None = None
    properties: dict[str, Any] = {}
    msg_type: str = "call"

    @property
    def wants_reply(self) -> bool:
        return self.msg_type != "cast"


class Name(msgspec.Struct, kw_only=True):
    """ps, status: `name` None is every watcher."""

    name: str | None = None


class Target(msgspec.Struct, kw_only=True):
    """start, stop, restart: `name` None is every watcher; `waiting` answers when it is done."""

    name: str | None = None
    waiting: bool = False


class Count(msgspec.Struct, kw_only=True):
    """incr, decr."""

    name: str
    nb: int = 1
    waiting: bool = False


class Signal(msgspec.Struct, kw_only=True):
    """`signum` as a number or a name; `wid` or `pid` narrow it to one worker."""

    name: str
    signum: int | str
    wid: int | None = None
    pid: int | None = None


class Wait(msgspec.Struct, kw_only=True):
    """Answered when the watcher, or each of them, is `up` or `down`."""

    state: Literal["up", "down"]
    name: str | None = None


class Quit(msgspec.Struct, kw_only=True):
    waiting: bool = False


T = TypeVar("T")

_requests = msgspec.json.Decoder(Request)


def decode_request(body: bytes) -> Request:
    """Raises BadMessage."""
    try:
        return _requests.decode(body)
    except msgspec.ValidationError as wrong:
        raise BadMessage(Errno.MESSAGE_ERROR, f"cannot read the request: {wrong}") from wrong
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as wrong:
        raise BadMessage(Errno.INVALID_JSON, f"cannot read the request: {wrong}") from wrong


def properties(command: str, kind: type[T], given: dict[str, Any]) -> T:
    """The command's own arguments as `kind`; raises BadMessage."""
    try:
        return msgspec.convert(given, kind)
    except msgspec.ValidationError as wrong:
        raise BadMessage(Errno.BAD_MSG_DATA, f"cannot run {command!r}: {wrong}") from wrong


def ok(request_id: str | None, time: float, fields: dict[str, Any]) -> bytes:
    return msgspec.json.encode({"id": request_id, "status": "ok", "time": time, **fields})


def error(request_id: str | None, time: float, reason: str, errno: Errno) -> bytes:
    return msgspec.json.encode(
        {"id": request_id, "status": "error", "time": time, "reason": reason, "errno": int(errno)}
    )
