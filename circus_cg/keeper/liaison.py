"""The arbiter in the keeper's loop: its channel and its pidfd, from the start to the last word."""

import os
import select
import time
from collections.abc import Callable
from typing import Protocol

from circus_cg.keeper.head import Head
from circus_cg.keeper.link import ArbiterLink
from circus_cg.keeper.log import say
from circus_cg.keeper.messages import Message
from circus_cg.keeper.stopping import end
from circus_cg.keeper.wire import Closed


class Loop(Protocol):
    """The keeper, as far as this goes."""

    def inventory(self) -> list[Message]: ...
    def answering(self) -> None: ...
    def arbiter_gone(self, status: int | None) -> None: ...
    def head_gone(self) -> None: ...


class Liaison:
    """`serve` is told every message, also those that a dead one had sent before."""

    def __init__(
        self, epoll: select.epoll, link: ArbiterLink | Head, keeper: Loop, serve: Callable[[Message], None]
    ) -> None:
        self._epoll, self._link, self._keeper, self._serve = epoll, link, keeper, serve
        self._pidfd = -1
        self._writing = False

    def __contains__(self, fd: int) -> bool:
        channel = self._link.channel
        return fd == self._pidfd or (channel is not None and fd == channel.fileno())

    def begin(self) -> None:
        """Start the first arbiter; or meet the library's caller, who holds one and was there before us."""
        if isinstance(self._link, ArbiterLink):
            self.start()
            return
        assert self._link.channel is not None
        self._pidfd = self._link.pidfd
        self._listen(self._link.channel.fileno())
        for page in self._keeper.inventory():
            self._link.send(page)

    def start(self) -> None:
        link = self._link
        assert isinstance(link, ArbiterLink)
        self._writing = False
        try:
            link.start(self._keeper.inventory(), time.monotonic())
            assert link.channel is not None and link.pid is not None
            self._pidfd = os.pidfd_open(link.pid)
        except OSError as cause:  # no descriptor, no memory, or its program is just being replaced
            say("keeper", f"cannot start an arbiter: {cause}; trying again")
            if link.pid is not None:
                end(link.pid)
            self._keeper.arbiter_gone(None)
            return
        self._listen(link.channel.fileno())

    def on_event(self, fd: int, event: int) -> None:
        if fd != self._pidfd:
            self._on_channel(event)
        elif isinstance(self._link, Head):
            self._on_head_gone()
        else:
            self.on_death()

    def on_death(self) -> None:
        """Of the arbiter that lived; it is reaped here."""
        assert isinstance(self._link, ArbiterLink) and self._link.pid is not None
        _, status = os.waitpid(self._link.pid, 0)
        self._epoll.unregister(self._pidfd)
        os.close(self._pidfd)
        self._pidfd = -1
        if self._link.channel is not None:
            self._drain()
            if self._link.channel is not None:
                self._epoll.unregister(self._link.channel.fileno())
        self._keeper.arbiter_gone(status)

    def watch_writability(self) -> None:
        channel = self._link.channel
        if channel is not None and channel.wants_write != self._writing:
            self._writing = channel.wants_write
            self._epoll.modify(channel.fileno(), select.EPOLLIN | (select.EPOLLOUT if self._writing else 0))

    def _listen(self, channel: int) -> None:
        self._epoll.register(channel, select.EPOLLIN)
        self._epoll.register(self._pidfd, select.EPOLLIN)

    def _on_channel(self, event: int) -> None:
        channel = self._link.channel
        assert channel is not None
        try:
            if event & select.EPOLLOUT:
                channel.flush()
            if event & (select.EPOLLIN | select.EPOLLHUP | select.EPOLLERR):
                for message in channel.receive():
                    self._link.heard(time.monotonic())
                    self._serve(message)
                if self._link.answering:
                    self._keeper.answering()
        except Closed:
            # A live arbiter that closed its channel can't be talked to: same as dead. What it asked before counts.
            self._drain()
            if isinstance(self._link, Head):
                self._on_head_gone()
                return
            self._epoll.unregister(channel.fileno())
            self._link.close()
            self._link.kill()

    def _on_head_gone(self) -> None:
        """However it died, and whoever inherited its descriptors."""
        if self._pidfd >= 0:
            self._epoll.unregister(self._pidfd)
            self._pidfd = -1
        if self._link.channel is not None:
            self._epoll.unregister(self._link.channel.fileno())
            self._link.close()
        self._keeper.head_gone()

    def _drain(self) -> None:
        """What it asked before it died still counts: a note or an acknowledgement may be among it."""
        channel = self._link.channel
        assert channel is not None
        try:
            while messages := channel.receive():
                for message in messages:
                    self._serve(message)
        except Closed:
            return
