"""What the keeper tells systemd (sd_notify(3)): ready, status, stopping, alive. Never blocks; silent where nobody asks.

The datagrams are `KEY=VALUE` lines. What a full or missing socket won't take waits here, the last word for each key,
and is tried again: a lost READY would end the service, a lost WATCHDOG too.
"""

import socket
from collections.abc import Mapping
from contextlib import suppress
from math import inf
from typing import Any

RETRY = 0.2  # seconds
EXTEND_EVERY = 5.0  # seconds, while a stop goes on
EXTEND_BY = 20.0  # seconds from each extension; the stop itself is bounded (keeper.md)


class Notifier:
    """`deadline` is when `on_deadline` wants to be called."""

    def __init__(self, environ: Mapping[str, str], pid: int, now: float) -> None:
        self._address = _address(environ.get("NOTIFY_SOCKET", ""))
        # Kept open: the watchdog's word must not fail for want of a descriptor.
        kind = socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK
        self._socket = socket.socket(socket.AF_UNIX, kind) if self._address else None
        self._pending: dict[str, str] = {}
        self._retry_at = inf
        self._interval = _interval(environ, pid) if self._address else inf
        self._watchdog_at = now + self._interval
        self._overdue = False
        self._extend_at = inf
        self._ready = False
        self._reloading = False

    def save(self) -> dict[str, object]:
        """For the next image of this process."""
        return {"ready": self._ready, "reloading": self._reloading, "pending": self._pending}

    def restore(self, saved: dict[str, Any], now: float) -> None:
        """What the image before had said, and not yet said. The watchdog hears of the change at once."""
        self._ready, self._reloading = bool(saved["ready"]), bool(saved["reloading"])
        self._pending.update(saved["pending"])
        if self._interval != inf:
            self._alive(now)

    @property
    def deadline(self) -> float:
        return min(self._retry_at, inf if self._overdue else self._watchdog_at, self._extend_at)

    def status(self, text: str, now: float) -> None:
        self._send(now, STATUS=text)

    def ready(self, text: str, now: float) -> None:
        """An arbiter is ready: with the first one the service has started. It ends no reload, which may still fail."""
        if self._extend_at != inf:
            return
        if self._ready:
            self._send(now, STATUS=text)
        else:
            self._ready = True
            self._send(now, READY="1", STATUS=text)

    def reloading(self, now: float) -> None:
        """An upgrade begins, as SIGHUP asks for one too."""
        if self._ready and self._extend_at == inf:
            self._reloading = True
            self._send(now, RELOADING="1", MONOTONIC_USEC=str(int(now * 1e6)))

    def reloaded(self, now: float) -> None:
        """It is over, whichever way."""
        if self._reloading:
            self._reloading = False
            self._send(now, READY="1")

    def stopping(self, text: str, now: float) -> None:
        """A stop has begun and goes on until this process ends: its time is extended meanwhile."""
        if self._extend_at == inf:
            self._reloading = False
            self._extend_at = now + EXTEND_EVERY
            self._send(now, STOPPING="1", STATUS=text, EXTEND_TIMEOUT_USEC=str(int(EXTEND_BY * 1e6)))

    def heard(self, now: float) -> None:
        """A ready arbiter has said something: the word that waited for it is due."""
        if self._overdue:
            self._alive(now)

    def on_deadline(self, now: float, *, answering: bool) -> None:
        """`answering`: the arbiter lives, was ready and owes no answer, or a stop of ours needs none."""
        if now >= self._watchdog_at:
            if answering:
                self._alive(now)
            else:
                self._overdue = True  # until it is heard; if it never is, systemd ends us all
        if now >= self._extend_at:
            self._extend_at = now + EXTEND_EVERY
            self._send(now, EXTEND_TIMEOUT_USEC=str(int(EXTEND_BY * 1e6)))
        if now >= self._retry_at:
            self._flush(now)

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()

    def _alive(self, now: float) -> None:
        self._overdue = False
        self._watchdog_at = now + self._interval
        self._send(now, WATCHDOG="1")

    def _send(self, now: float, **words: str) -> None:
        if self._socket is not None:
            if "READY" in words:  # in one datagram they would contradict each other
                self._pending.pop("RELOADING", None)
            self._pending.update(words)
            self._flush(now)

    def _flush(self, now: float) -> None:
        assert self._socket is not None
        body = "\n".join(f"{key}={_one_line(value)}" for key, value in self._pending.items())
        self._retry_at = inf
        try:
            self._socket.sendto(body.encode(errors="replace"), self._address)
        except OSError:  # full, or systemd is just being re-executed
            self._retry_at = now + RETRY
        else:
            self._pending.clear()


def _address(text: str) -> str:
    """Of NOTIFY_SOCKET, as `sendto` wants it; "" where there is none we can speak to (vsock is for whole machines)."""
    if text.startswith("/"):
        return text
    return "\0" + text[1:] if text.startswith("@") else ""


def _interval(environ: Mapping[str, str], pid: int) -> float:
    """Half of WATCHDOG_USEC in seconds; infinite when no watchdog watches this very process."""
    with suppress(ValueError):
        if int(environ.get("WATCHDOG_PID", pid)) == pid and (period := int(environ.get("WATCHDOG_USEC", "0"))) > 0:
            return period / 2e6
    return inf


def _one_line(value: str) -> str:
    return " ".join(value.split())
