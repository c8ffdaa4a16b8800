"""What a worker says over its notify socket (sd_notify(3)): lines of `KEY=value` -> a Word. Nothing here raises."""

from __future__ import annotations

import re
from errno import errorcode
from typing import NamedTuple

from circus_cg.core.line import one_line

MAX_STATUS = 256  # characters
MAX_SECONDS = 1e9  # what is longer means for ever
_PID_MAX = 1 << 22
_SHARE = re.compile(r"[0-9]{1,9}(\.[0-9]{0,9})?|\.[0-9]{1,9}", re.ASCII)


class Word(NamedTuple):
    """One datagram. What was not said, or made no sense, is None or False."""

    ready: bool = False
    reloading: bool = False
    stopping: bool = False
    alive: bool = False  # the watchdog's word
    trigger: bool = False  # it wants to be ended as if the watchdog had expired
    status: str | None = None
    main_pid: int | None = None
    watchdog: float | None = None  # seconds; 0 switches it off
    extend: float | None = None  # seconds from now
    error: str | None = None
    busy: float | None = None  # X_BUSY: 0 to 1, how much of what it can do it does
    backlog: int | None = None  # X_BACKLOG: how many requests wait for it


NOTHING = Word()
READY = Word(ready=True)


def parse(datagram: bytes) -> Word:
    """Unknown keys are ignored; of one that comes twice the last counts."""
    lines = datagram.decode(errors="replace").split("\n")
    said = dict(line.split("=", 1) for line in lines if "=" in line)
    return Word(
        ready=said.get("READY") == "1",
        reloading=said.get("RELOADING") == "1",
        stopping=said.get("STOPPING") == "1",
        alive=said.get("WATCHDOG") == "1",
        trigger=said.get("WATCHDOG") == "trigger",
        status=one_line(said["STATUS"], MAX_STATUS) if "STATUS" in said else None,
        main_pid=_number(said.get("MAINPID"), 1, _PID_MAX),
        watchdog=_seconds(said.get("WATCHDOG_USEC")),
        extend=_seconds(said.get("EXTEND_TIMEOUT_USEC")),
        error=_error(said.get("ERRNO")),
        busy=_share(said.get("X_BUSY")),
        backlog=_number(said.get("X_BACKLOG"), 0, 2**31),
    )


def _number(text: str | None, least: int, most: int) -> int | None:
    if text is None or not (text.isascii() and text.isdecimal()) or len(text) > 20:
        return None
    number = int(text)
    return number if least <= number <= most else None


def _share(text: str | None) -> float | None:
    """More than all is all."""
    if text is None or _SHARE.fullmatch(text) is None:
        return None
    return min(1.0, float(text))


def _seconds(text: str | None) -> float | None:
    number = _number(text, 0, 2**64)
    return None if number is None else min(number / 1e6, MAX_SECONDS)


def _error(text: str | None) -> str | None:
    number = _number(text, 1, 4095)
    return None if number is None else f"errno {number} ({errorcode.get(number, 'unknown')})"
