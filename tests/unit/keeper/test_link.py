"""An arbiter that was asked to leave, in the keeper's loop."""

from __future__ import annotations

import select
from collections.abc import Iterator
from typing import Any

import pytest

from circus_cg.keeper.liaison import Liaison
from circus_cg.keeper.link import ArbiterLink
from circus_cg.keeper.wire import Channel, Closed, pair


class Link(ArbiterLink):
    """To an arbiter that is no process."""

    def __init__(self, channel: Channel) -> None:
        super().__init__({})
        self.channel = channel
        self.killed = False

    def kill(self) -> None:
        self.killed = True


class Loop:
    """The keeper, as far as this goes; all that it hears it answers."""

    def __init__(self) -> None:
        ours, theirs = pair()
        self.link, self.arbiter = Link(Channel(ours)), Channel(theirs)
        self.epoll = select.epoll()
        self.epoll.register(ours, select.EPOLLIN)
        self.liaison = Liaison(self.epoll, self.link, self, self.serve)
        self.heard: list[dict[str, Any]] = []

    def inventory(self) -> list[dict[str, Any]]:
        return []

    def answering(self) -> None:
        """Nobody watches."""

    def arbiter_gone(self, status: int | None) -> None:
        """It is no process."""

    def head_gone(self) -> None:
        """There is none."""

    def serve(self, message: dict[str, Any]) -> None:
        self.heard.append(message)
        self.link.send({"op": "spawned"})

    def turn(self) -> None:
        self.liaison.watch_writability()
        for fd, event in self.epoll.poll(0):
            self.liaison.on_event(fd, event)


@pytest.fixture
def loop() -> Iterator[Loop]:
    made = Loop()
    yield made
    made.epoll.close()
    made.link.close()
    made.arbiter.close()


@pytest.mark.parametrize("full", [False, True])
def test_who_was_asked_to_leave_says_all_it_has_to_whatever_would_be_said_to_it(loop: Loop, *, full: bool) -> None:
    assert loop.link.channel is not None
    while full and not loop.link.channel.wants_write:
        loop.link.send({"op": "exited", "text": "y" * 60_000})
    loop.turn()
    loop.link.ask_to_leave()
    loop.link.send({"op": "exited"})  # a worker ends just now
    with pytest.raises(Closed):
        while loop.arbiter.receive():
            pass
    for word in ("spawn", "note", "last"):
        loop.turn()
        loop.arbiter.send({"op": word})
        loop.turn()
    assert [message["op"] for message in loop.heard] == ["spawn", "note", "last"]
    assert not loop.link.killed


def test_who_closes_its_channel_and_lives_on_is_killed(loop: Loop) -> None:
    loop.arbiter.send({"op": "note"})
    loop.arbiter.shut()
    loop.turn()
    loop.turn()
    assert [message["op"] for message in loop.heard] == ["note"]
    assert loop.link.killed
