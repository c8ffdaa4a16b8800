"""A connection is libzmq's to close, at any instant: what we ask of it and what we do to it is one file."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from circus_cg.rpc.door import Connection, _borrowed


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


@pytest.mark.parametrize(
    "name", ["", "\0of-a-test-of-the-door", "fe80::1"], ids=["unnamed", "abstract", "like-an-address"]
)
def test_a_number_that_became_another_kind_of_socket_has_no_origin(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever connects without a key can hang up before we look, and the local endpoint accept under that number."""
    monkeypatch.chdir(tmp_path)
    with socket.socket(socket.AF_UNIX) as listener, socket.socket(socket.AF_UNIX) as client:
        listener.bind("endpoint")
        listener.listen()
        if name:
            client.bind(name)
        client.connect("endpoint")
        accepted, _ = listener.accept()
        with accepted:
            assert Connection(accepted.fileno()).origin == ""


def test_a_connections_origin_is_its_address_while_it_is_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.create_connection(listener.getsockname()):
        accepted, _ = listener.accept()
        with accepted:
            assert Connection(accepted.fileno()).origin == "127.0.0.1"
    assert Connection(accepted.fileno()).origin == ""
