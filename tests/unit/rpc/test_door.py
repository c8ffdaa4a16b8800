"""A connection is libzmq's to close, at any instant: what we ask of it and what we do to it is one file."""

from __future__ import annotations

import os
import socket

import pytest

from circus_cg.rpc.door import _borrowed


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def test_a_number_that_becomes_another_connections_is_not_touched() -> None:
    before = descriptors()
    ended, theirs = socket.socketpair()
    other, others = socket.socketpair()
    with ended, theirs, other, others:
        with _borrowed(ended.fileno()) as found:
            os.dup2(other.fileno(), ended.fileno())  # closed by libzmq's thread, and accepted anew
            found.shutdown(socket.SHUT_RDWR)
        assert theirs.recv(1) == b""
        other.send(b"x")
        assert others.recv(1) == b"x"
    assert descriptors() == before


def test_what_is_closed_or_no_socket_is_refused_and_nothing_stays_open() -> None:
    before = descriptors()
    reader, writer = os.pipe()
    with pytest.raises(OSError), _borrowed(reader):
        pass
    os.close(reader)
    os.close(writer)
    with pytest.raises(OSError), _borrowed(reader):
        pass
    assert descriptors() == before
