"""The control channel's words: circus's request/reply dialect, typed. Pure.

Request: {"id", "command", "properties", "msg_type"?}. Reply: {"id", "status": "ok"|"error", "time", ...}; an error adds
"reason" and "errno" (circus's numbers).
"""

from __future__ import annotations

from enum import IntEnum
from typing import Any, Literal, TypeVar

import msgspec

from circus_cg.errors import CircusCgError
from circus_cg.units import MAX_INT

MAX_MESSAGE = 1 << 20  # bytes; a larger request is refused unread
MAX_PARTS = 8  # of a request: routing, an empty one perhaps, the body
MAX_DEPTH = 32  # of lists and mappings within each other


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


class Forbidden(BadMessage):
    """The key may not do this, or not to these watchers: use another, or ask who gave it to you."""

    code = "forbidden"

    def __init__(self, reason: str) -> None:
        super().__init__(Errno.COMMAND_ERROR, reason)


class Request(msgspec.Struct, kw_only=True):
    command: str
    id: str | None = None
    properties: dict[str, Any] = {}
    msg_type: str = "call"

    @property
    def wants_reply(self) -> bool:
        return self.msg_type != "cast"


Names = str | list[str] | None  # None is every watcher
Match = Literal["simple", "glob", "regex"]


class Which(msgspec.Struct, kw_only=True):
    """ps, status, list, top."""

    name: Names = None
    match: Match = "simple"


class Target(msgspec.Struct, kw_only=True):
    """start, stop, restart; `waiting` answers when it is done."""

    name: Names = None
    match: Match = "glob"
    waiting: bool = False


class Wait(msgspec.Struct, kw_only=True):
    """Answered when the watcher, or each of them, is `up`, `down` or `gone`."""

    state: Literal["up", "down", "gone"]
    name: Names = None
    match: Match = "glob"


class Count(msgspec.Struct, kw_only=True):
    """incr, decr."""

    name: str
    nb: int = 1
    waiting: bool = False


class OneOrAll(msgspec.Struct, kw_only=True):
    """numprocesses."""

    name: str | None = None


class Nothing(msgspec.Struct, kw_only=True):
    """numwatchers, dstats."""


class Signal(msgspec.Struct, kw_only=True):
    """`signum` as a number or a name; `wid` or `pid` narrow it to one worker.

    `childpid` (or `child_pid`): one process below it; `children`: those right below each worker, with `recursive` all
    below them, instead of the workers; `recursive` alone: both; `group`: all that is in the worker's group.
    """

    name: str
    signum: int | str
    wid: int | None = None
    pid: int | None = None
    childpid: int | None = None
    child_pid: int | None = None
    children: bool = False
    recursive: bool = False
    group: bool = False


class Kill(msgspec.Struct, kw_only=True):
    """A new life for all workers, or one; None takes the watcher's own stop_signal and graceful_timeout."""

    name: str
    wid: int | None = None
    pid: int | str | None = None  # circus's command line sends it as text
    signum: int | str | None = None
    graceful_timeout: float | str | None = None  # seconds, or text with a unit
    waiting: bool = False


class Add(msgspec.Struct, kw_only=True):
    """`cmd` as one text or as words, `args` after it; `options` as for set."""

    name: str
    cmd: str | list[str]
    args: str | list[str] | None = None
    options: dict[str, Any] = {}
    start: bool = False
    waiting: bool = False


class Rm(msgspec.Struct, kw_only=True):
    """`nostop`, circus's way to leave the workers without a supervisor, is refused."""

    name: str
    nostop: bool = False
    waiting: bool = False


class Set(msgspec.Struct, kw_only=True):
    """`options`: name, dotted below the top, to value: JSON's own types or text with a unit.

    `force`: limits below what is used as well. `persist`: beyond the daemon's end.
    """

    name: str
    options: dict[str, Any]
    force: bool = False
    persist: bool = False
    waiting: bool = False


class Revert(msgspec.Struct, kw_only=True):
    """Options back to what is configured, and nothing of them kept; without `keys` all that are kept or were set."""

    name: str
    keys: list[str] | None = None
    force: bool = False
    waiting: bool = False


class Get(msgspec.Struct, kw_only=True):
    """options, get: all without `keys`."""

    name: str
    keys: list[str] | None = None


class GlobalOptions(msgspec.Struct, kw_only=True):
    option: str | None = None


class Stats(msgspec.Struct, kw_only=True):
    """`process`: the pid of a worker; `extended` asks /proc too, for one watcher or one process."""

    name: Names = None
    match: Match = "simple"
    process: int | str | None = None
    extended: bool = False


class Events(msgspec.Struct, kw_only=True):
    """What happened, and with `follow` what happens. Without it `limit` events at most are answered, the last ones.

    `since` is the `seq` of the last event that is known already. `kinds` are those of records. `credit` is how many
    events (and samples, with `stats`: seconds between two) may be sent before more is granted, which is done with
    `subscription` and `credit`, at least every `lease` seconds; `end` ends it.
    """

    name: Names = None
    match: Match = "glob"
    kinds: list[str] | None = None
    since: int | None = None
    limit: int = 1000
    follow: bool = False
    credit: int = 0
    stats: float | None = None
    subscription: str | None = None
    end: bool = False


class History(msgspec.Struct, kw_only=True):
    """What is kept on disk: the last `limit` events, or with `usage` samples, between two instants in seconds since
    the epoch; `ago`: since so many seconds before now, by the daemon's clock.
    """

    name: Names = None
    match: Match = "glob"
    kinds: list[str] | None = None
    since: float | None = None
    ago: float | None = None
    until: float | None = None
    limit: int = 1000
    usage: bool = False


class Why(msgspec.Struct, kw_only=True):
    """The last `limit` chains of causes of a watcher, also one that is gone; with `.WID`, or `wid`, of a worker."""

    name: str
    wid: int | None = None
    limit: int = 100


class Reload(msgspec.Struct, kw_only=True):
    """New lives one after the other; with `graceful` false all at once. `sequential` is as good as none."""

    name: Names = None
    match: Match = "glob"
    graceful: bool = True
    sequential: bool = False
    waiting: bool = False


class ReloadConfig(msgspec.Struct, kw_only=True):
    """The file that `run` was given, read again. Answered when all is decided; with `waiting` when it is done."""

    waiting: bool = False


class Freeze(msgspec.Struct, kw_only=True):
    """freeze, thaw: all workers, or one by `wid` or `pid`."""

    name: Names = None
    match: Match = "glob"
    wid: int | None = None
    pid: int | None = None


class Level(msgspec.Struct, kw_only=True):
    """loglevel: told without `level`."""

    level: Literal["debug", "info", "warning", "error"] | None = None


class Exec(msgspec.Struct, kw_only=True):
    """`name` is a watcher's, or with `.WID` a worker's; `timeout` in seconds. Output comes back in base64."""

    name: str
    cmd: list[str]
    wid: int | None = None
    timeout: float = 60.0


class Anything(msgspec.Struct, kw_only=True):
    """listen, ipython: whatever comes with them they are refused."""


class Quit(msgspec.Struct, kw_only=True):
    """Answered when it has begun: at its end nobody is left to answer."""

    waiting: bool = False


T = TypeVar("T")

_requests = msgspec.json.Decoder(Request)


def decode_request(body: bytes) -> Request:
    """Raises BadMessage."""
    try:
        request = _requests.decode(body)
    except msgspec.ValidationError as wrong:
        raise BadMessage(Errno.MESSAGE_ERROR, f"cannot read the request: {wrong}") from wrong
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as wrong:
        raise BadMessage(Errno.INVALID_JSON, f"cannot read the request: {wrong}") from wrong
    if request.properties and _deeper(request.properties, MAX_DEPTH):
        raise BadMessage(Errno.INVALID_JSON, f"cannot read the request: over {MAX_DEPTH} lists within each other")
    return request


def _deeper(value: Any, most: int) -> bool:
    match value:
        case dict():
            return most == 0 or any(_deeper(one, most - 1) for one in value.values())
        case list():
            return most == 0 or any(_deeper(one, most - 1) for one in value)
        case _:
            return False


def properties(command: str, kind: type[T], given: dict[str, Any]) -> T:
    """The command's own arguments as `kind`; raises BadMessage."""
    if _beyond(given):
        raise BadMessage(Errno.BAD_MSG_DATA, f"cannot run {command!r}: a number is out of range: it has over 64 bits")
    try:
        return msgspec.convert(given, kind)
    except msgspec.ValidationError as wrong:
        raise BadMessage(Errno.BAD_MSG_DATA, f"cannot run {command!r}: {wrong}") from wrong


def _beyond(value: Any) -> bool:
    """JSON's integers have up to 4300 digits, options have any type: bounded here, no command has to think of it."""
    match value:
        case dict():
            return any(map(_beyond, value.values()))
        case list():
            return any(map(_beyond, value))
        case int():
            return not -MAX_INT - 1 <= value <= MAX_INT
        case _:
            return False


def events(subscription: str, found: list[dict[str, Any]], lost: int | None, seq: int) -> bytes:
    """A batch. `lost`: events, wanted or not, that are gone; null is an unknown number. `seq`: for the next `since`."""
    return msgspec.json.encode({"subscription": subscription, "events": found, "lost": lost, "seq": seq})


def sample(subscription: str, time: float, stats: dict[str, Any], left_out: int) -> bytes:
    """`left_out`: samples since the last one that there was no credit for."""
    return msgspec.json.encode({"subscription": subscription, "time": time, "stats": stats, "left_out": left_out})


def ok(request_id: str | None, time: float, fields: dict[str, Any]) -> bytes:
    return msgspec.json.encode({"id": request_id, "status": "ok", "time": time, **fields})


def error(request_id: str | None, time: float, reason: str, errno: Errno) -> bytes:
    """`reason` may name what isn't UTF-8, such as a file; it is told all the same."""
    told = reason.encode(errors="backslashreplace").decode()
    return msgspec.json.encode({"id": request_id, "status": "error", "time": time, "reason": told, "errno": int(errno)})
