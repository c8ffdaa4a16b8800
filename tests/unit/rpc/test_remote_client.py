"""The client from afar, and whom it takes the other side for."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import zmq

from circus_cg.errors import NotRunning, TimedOut, WrongServer
from circus_cg.rpc import curve
from circus_cg.rpc.remote_client import Away, RemoteClient


@contextmanager
def listening(silences: int) -> Iterator[int]:
    """The port of one that takes connections and ends each without a word; after so many it listens no more."""
    over = threading.Event()
    server = socket.create_server(("127.0.0.1", 0))
    port: int = server.getsockname()[1]

    def serve() -> None:
        with server:
            for _ in range(silences):
                server.accept()[0].close()
                if over.is_set():
                    return

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield port
    finally:
        over.set()
        with socket.socket() as last:  # wakes who still accepts
            last.connect_ex(("127.0.0.1", port))
        thread.join()


def client(port: int, server_key: str | None = None, timeout: float = 20) -> RemoteClient:
    away = Away(f"tcp://127.0.0.1:{port}", server_key or curve.fresh("server").public, curve.fresh("me"))
    return RemoteClient(away, timeout, clock=time.monotonic)


@pytest.mark.parametrize("silences", [1, 2])
def test_a_daemon_that_goes_is_not_taken_for_one_with_another_key(silences: int) -> None:
    """Its arbiter ends first, then the keeper, and a connection may meet either."""
    with listening(silences) as port, pytest.raises(NotRunning, match="nobody listens"):
        client(port).call("list")


def test_who_never_says_a_word_has_another_key() -> None:
    with listening(1_000_000) as port, pytest.raises(WrongServer, match="doesn't have the server key"):
        client(port).call("list")


def test_a_daemon_that_ends_with_the_request_is_not_waited_for() -> None:
    """However long the answer might have taken: nobody comes again to give it."""
    pair = curve.fresh("server")
    context: zmq.Context[Any] = zmq.Context()
    serving = context.socket(zmq.ROUTER)
    serving.curve_server, serving.curve_secretkey = True, bytes.fromhex(pair.secret)
    port = serving.bind_to_random_port("tcp://127.0.0.1")

    def end() -> None:
        serving.recv_multipart()
        context.destroy(linger=0)

    thread = threading.Thread(target=end)
    thread.start()
    with pytest.raises(TimedOut, match="the connection was lost before the answer came"):
        client(port, pair.public, timeout=24 * 3600).call("reload")
    thread.join()
