"""What the workers of one watcher say of themselves, read from the descriptors that the keeper made and holds."""

from __future__ import annotations

import array
import asyncio
import os
import socket
import struct
from collections.abc import Callable
from contextlib import suppress
from typing import NamedTuple

from circus_cg.core.notification import READY, Word, parse
from circus_cg.keeper.log import say
from circus_cg.keeper.messages import Message

MOST = 4096  # bytes of a datagram, as systemd takes it; a longer one is dropped
AT_ONCE = 32  # datagrams of one worker before others have their turn

_CREDENTIALS = struct.Struct("iII")
_ANCILLARY = socket.CMSG_SPACE(_CREDENTIALS.size) + socket.CMSG_SPACE(4 * 253)
_PEEK = socket.MSG_PEEK | socket.MSG_DONTWAIT | socket.MSG_CMSG_CLOEXEC


class Sender(NamedTuple):
    """As the kernel vouches for it; a pid that we can't see is 0."""

    pid: int
    uid: int
    gid: int


class Line(NamedTuple):
    generation: int
    socket: socket.socket | None
    pipe: int  # -1: none


class Voices:
    """`hear` is told who said what (wid, generation), `admits` is asked whether that sender may."""

    def __init__(
        self,
        watcher: str,
        hear: Callable[[int, int, Word], None],
        admits: Callable[[int, int, Sender], bool],
    ) -> None:
        self._watcher, self._hear, self._admits = watcher, hear, admits
        self._lines: dict[int, Line] = {}
        self._refused: set[tuple[int, int]] = set()  # lives of which it was said
        self._loop = asyncio.get_running_loop()

    def take(self, wid: int, generation: int, message: Message) -> None:
        """The descriptors of a life: from here on they are ours to close."""
        self.forget(wid)
        fds = list(message["fds"])
        made = socket.socket(fileno=fds.pop(0)) if message["socket"] else None
        pipe = fds.pop(0) if message["pipe"] else -1
        self._lines[wid] = Line(generation, made, pipe)
        if made is not None:
            self._loop.add_reader(made.fileno(), self._on_socket, wid)
        if pipe >= 0:
            self._loop.add_reader(pipe, self._on_pipe, wid)

    def drain(self, wid: int) -> None:
        """What was said before now, for a life whose end is about to be heard."""
        line = self._lines.get(wid)
        if line is not None and line.socket is not None:
            self._on_socket(wid)
        if line is not None and line.pipe >= 0:
            self._on_pipe(wid)

    def forget(self, wid: int) -> None:
        line = self._lines.pop(wid, None)
        if line is None:
            return
        self._refused.discard((wid, line.generation))
        if line.socket is not None:
            self._loop.remove_reader(line.socket.fileno())
            line.socket.close()
        if line.pipe >= 0:
            self._loop.remove_reader(line.pipe)
            os.close(line.pipe)

    def close(self) -> None:
        for wid in list(self._lines):
            self.forget(wid)

    def _on_socket(self, wid: int) -> None:
        line = self._lines[wid]
        assert line.socket is not None
        for _ in range(AT_ONCE):
            if self._lines.get(wid) is not line:
                return
            try:
                data, ancillary, flags, _ = line.socket.recvmsg(MOST, _ANCILLARY, _PEEK)
            except (BlockingIOError, InterruptedError):
                return
            sender = _take(ancillary)
            if not flags & socket.MSG_TRUNC and sender is not None:
                self._judge(wid, line, data, sender)
            # Only now is it gone: what we die of before, the next arbiter hears again, which changes nothing. A
            # descriptor that came with it (BARRIER=1) is closed by this too.
            with suppress(BlockingIOError):
                line.socket.recv(1, socket.MSG_DONTWAIT)

    def _judge(self, wid: int, line: Line, data: bytes, sender: Sender) -> None:
        if self._admits(wid, line.generation, sender):
            self._hear(wid, line.generation, parse(data))
        elif (wid, line.generation) not in self._refused:
            self._refused.add((wid, line.generation))
            who = f"pid {sender.pid}, uid {sender.uid}"
            say("arbiter", f"{self._watcher}.{wid}: {who} is not in its group and can't speak for it", "warning")

    def _on_pipe(self, wid: int) -> None:
        line = self._lines[wid]
        try:
            said = os.read(line.pipe, MOST)
        except BlockingIOError:
            return
        if b"\n" in said:
            self._hear(wid, line.generation, READY)
        if (not said or b"\n" in said) and self._lines.get(wid) is line:  # it has said all that it can
            self._loop.remove_reader(line.pipe)
            os.close(line.pipe)
            self._lines[wid] = line._replace(pipe=-1)


def _take(ancillary: list[tuple[int, int, bytes]]) -> Sender | None:
    """Who sent it. Descriptors that came along are closed."""
    sender = None
    for level, kind, payload in ancillary:
        if level != socket.SOL_SOCKET:
            continue
        if kind == socket.SCM_CREDENTIALS:
            sender = Sender(*_CREDENTIALS.unpack(payload[: _CREDENTIALS.size]))
        elif kind == socket.SCM_RIGHTS:
            fds = array.array("i")
            fds.frombytes(payload[: len(payload) - len(payload) % fds.itemsize])
            for fd in fds:
                os.close(fd)
    return sender
