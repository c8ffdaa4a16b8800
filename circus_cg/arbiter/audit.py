"""Who did what: one JSON line a command, in a file that only root reads. Of options only the names are written.

The keeper opens it, anew for each arbiter, so an arbiter needs no right to it.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime
from typing import Any, NamedTuple

import msgspec

from circus_cg.core.line import one_line
from circus_cg.core.rate import Rate, admit
from circus_cg.host import clock
from circus_cg.keeper.log import say
from circus_cg.rpc.server import Peer

_encode = msgspec.json.Encoder().encode
MAX_NAMES = 20
SHOWN = 64  # characters of somebody else's text
TURNED_AWAY = Rate(1.0, 20, 0)  # lines a second about those without a key: they must not fill the disk


class _Look(NamedTuple):
    at: float  # wall clock
    peer: Peer
    command: str
    properties: dict[str, Any]
    result: str
    errno: int | None


class Audit:
    """`fd` -1: it could not be opened, which was said, and nothing is written. `path` is for what is said."""

    def __init__(self, fd: int, path: str) -> None:
        self._fd, self._path = fd, path
        self._broken = False
        self._looks: list[_Look] = []
        self._full_at, self._unsaid = 0.0, 0
        self._second, self._shown = -1, ""

    def command(self, peer: Peer, command: str, properties: dict[str, Any], result: str, errno: int | None) -> None:
        """`result`: ok, refused, forbidden, failed or dropped; `command` and `properties` as they were asked for."""
        self.look(peer, command, properties, result, errno)
        self.flush()

    def look(self, peer: Peer, command: str, properties: dict[str, Any], result: str, errno: int | None) -> None:
        """As `command`, for what changes nothing: written with the next `flush`."""
        if self._fd >= 0:
            self._looks.append(_Look(clock.wall(), peer, command, properties, result, errno))

    def flush(self) -> None:
        if self._looks:
            lines, self._looks = [self._line(one) for one in self._looks], []
            self._write(lines)

    def _line(self, look: _Look) -> dict[str, Any]:
        caller, properties = look.peer.caller, look.properties
        line: dict[str, Any] = {
            "time": self._instant(look.at),
            "key": caller.name,
            "role": caller.role.word,
            "address": look.peer.address,
            "command": one_line(look.command, SHOWN),
            "names": _names(properties.get("name")),
        }
        if isinstance(options := properties.get("options"), dict):
            line["options"] = _names(list(options))
        line["result"] = look.result
        if look.errno is not None:
            line["errno"] = look.errno
        return line

    def turned_away(self, key: str, address: str, what: str) -> None:
        """Somebody without a command: `key` as it was shown, `what` was wrong with it."""
        self._full_at, wait = admit(self._full_at, TURNED_AWAY, clock.now())
        if wait is None:
            self._unsaid += 1
            return
        unsaid, self._unsaid = self._unsaid, 0
        self.flush()
        line = {
            "time": self._instant(clock.wall()),
            "key": key[:SHOWN],
            "address": address,
            "command": None,
            "result": what,
        }
        self._write([{**line, "unsaid_before": unsaid} if unsaid else line])

    def _write(self, lines: list[dict[str, Any]]) -> None:
        if self._fd < 0:
            return
        try:
            os.write(self._fd, b"".join(_encode(line) + b"\n" for line in lines))
        except OSError as failed:  # a full disk must not keep an operator from what frees it
            if not self._broken:
                say("arbiter", f"cannot write {self._path}: {failed.strerror}; commands go on unaudited")
            self._broken = True
        else:
            self._broken = False

    def _instant(self, at: float) -> str:
        """As ISO 8601; but for its milliseconds it is the same for many lines."""
        second, part = divmod(at, 1.0)
        if second != self._second:
            self._second, self._shown = int(second), datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")
        return f"{self._shown}.{int(part * 1000):03d}+00:00"


def _names(given: Any) -> list[str] | None:
    """None: all of them."""
    if given is None:
        return None
    names = given if isinstance(given, list) else [given]
    return [one_line(name, SHOWN) if isinstance(name, str) else "?" for name in names[:MAX_NAMES]]
