"""Who may connect: ZeroMQ's authentication protocol (rfc.zeromq.org/spec/27), for CURVE keys alone.

Without a handler libzmq takes every client's key, so the server also sets ZAP_ENFORCE_DOMAIN, which then takes none.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable

import zmq

from circus_cg.rpc.drain import Drain

ADDRESS = "inproc://zeromq.zap.01"
DOMAIN = b"circus-cg"
VERSION = b"1.0"


def plain_address(address: str) -> str:
    """A socket for both kinds writes IPv4 its own way."""
    return address.removeprefix("::ffff:")


class Zap:
    """`known(public key in hexadecimal, address)` says yes or no.

    A yes makes the key and a number the User-Id of all that comes over the connection. Numbers rise.
    """

    def __init__(self, context: zmq.Context[zmq.Socket[bytes]], known: Callable[[str, str], bool]) -> None:
        self._known = known
        self._numbers = itertools.count(1)
        self._socket = context.socket(zmq.REP)
        self._socket.setsockopt(zmq.LINGER, 0)
        self._socket.bind(ADDRESS)
        self._drain = Drain(self._socket, self._answer)

    def close(self) -> None:
        self._drain.close()

    def _answer(self) -> None:
        request = self._socket.recv_multipart(zmq.NOBLOCK)
        number = request[1] if len(request) > 1 else b""
        status, text, user = self._judge(request)
        self._socket.send_multipart([VERSION, number, status, text, user, b""])
        self._drain.after_send()

    def _judge(self, request: list[bytes]) -> tuple[bytes, bytes, bytes]:
        if len(request) != 7 or request[0] != VERSION:
            return b"500", b"Not understood", b""
        _, _, domain, address, _, mechanism, key = request
        if domain != DOMAIN or mechanism != b"CURVE" or len(key) != 32:
            return b"400", b"Not CURVE", b""
        if not self._known(key.hex(), plain_address(address.decode(errors="replace"))):
            return b"400", b"Unknown key", b""
        return b"200", b"OK", f"{key.hex()} {next(self._numbers)}".encode()
