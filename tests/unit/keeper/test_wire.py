"""The channel: large messages, full sockets, and what can't be understood."""

import errno
import os
import resource
import socket
from collections.abc import Iterator

import pytest

from circus_cg.keeper.wire import Channel, Closed, lift, pair


@pytest.fixture
def ends() -> Iterator[tuple[Channel, socket.socket]]:
    ours, theirs = pair()
    channel = Channel(ours)
    with theirs:
        yield channel, theirs
    channel.close()


def test_a_message_of_any_size_arrives_as_it_was(ends: tuple[Channel, socket.socket]) -> None:
    channel, theirs = ends
    other = Channel(theirs)
    for size in (1, 65_000, 70_000, 3_000_000):
        message = {"op": "x", "text": "y" * size}
        other.send(message)
        assert channel.receive() == [message]


@pytest.mark.parametrize("packet", [b"\x00{{{", b"\x00[1]", b"\x00" + b"[" * 60_000, b"\x01", b"\x00", b"\x07{}"])
def test_a_packet_that_is_no_message_is_one_of_no_known_operation(
    ends: tuple[Channel, socket.socket], packet: bytes
) -> None:
    channel, theirs = ends
    theirs.send(packet)
    (message,) = channel.receive()
    assert message.get("op") not in ("spawn", "signal", "ack", "note", "forget", "ready", "pong", "quit")
    theirs.send(b'\x00{"op":"pong"}')
    assert channel.receive() == [{"op": "pong"}]


def test_what_was_said_before_a_death_is_heard_though_something_was_left_unread(
    ends: tuple[Channel, socket.socket],
) -> None:
    channel, theirs = ends
    channel.send({"op": "ping"})
    theirs.send(b'\x00{"op":"quit"}')
    theirs.close()
    assert channel.receive() == [{"op": "quit"}]
    with pytest.raises(Closed):
        channel.receive()


def test_what_a_full_socket_refuses_waits_and_is_told_of(ends: tuple[Channel, socket.socket]) -> None:
    channel, theirs = ends
    told: list[bool] = []
    channel.on_backlog = lambda: told.append(True)
    other = Channel(theirs)
    sent = 0
    while not channel.wants_write:
        channel.send({"op": "x", "number": sent, "text": "y" * 5_000})
        sent += 1
    assert told
    heard: list[int] = []
    while len(heard) < sent:
        heard += [message["number"] for message in other.receive()]
        channel.flush()
    assert heard == list(range(sent))


def test_who_still_sends_when_our_own_end_is_closed_is_told_so_too(ends: tuple[Channel, socket.socket]) -> None:
    """A verb of the library's is in the midst of its work when the keeper dies, and the channel is closed under it."""
    channel, _ = ends
    channel.close()
    with pytest.raises(Closed):
        channel.send({"op": "pong"})


@pytest.mark.parametrize("full", [False, True])
def test_an_end_that_says_nothing_more_hears_on_and_keeps_nothing_to_say(
    ends: tuple[Channel, socket.socket], *, full: bool
) -> None:
    channel, theirs = ends
    reader, writer = os.pipe()
    while full and not channel.wants_write:
        channel.send({"op": "x", "text": "y" * 60_000})
    channel.send({"op": "last", "fds": [writer]})
    os.close(writer)
    channel.shut_sending()
    with pytest.raises(Closed):
        channel.send({"op": "x", "fds": [reader]})
    assert (channel.wants_write, channel.backlog) == (False, 0)
    channel.flush()
    other = Channel(theirs)
    other.send({"op": "note"})
    assert channel.receive() == [{"op": "note"}]
    heard = [message["op"] for message in other.receive()]
    assert heard[-1] == ("x" if full else "last")
    with pytest.raises(Closed):
        other.receive()
    assert os.read(reader, 1) == b"", "nobody holds a copy for what is not sent"
    os.close(reader)


def test_a_number_beyond_the_limit_is_one_descriptor_too_many(ends: tuple[Channel, socket.socket]) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))  # the table grows up to the number, 8 GB at nr_open
    try:
        os.close(lift(ends[1].fileno(), 255))
        with pytest.raises(OSError) as refused:
            lift(ends[1].fileno(), 256)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert refused.value.errno == errno.EMFILE
