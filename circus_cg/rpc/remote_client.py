"""The client from afar. The socket's monitor says at once what is wrong; libzmq alone would try for ever."""

from __future__ import annotations

import json
import math
import os
import socket
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any, NamedTuple

import zmq
from zmq.utils.monitor import parse_monitor_message

from circus_cg.errors import CommandRefused, KeyRefused, NotRunning, TimedOut, WrongServer
from circus_cg.rpc.client import LOST, MONITOR
from circus_cg.rpc.keys import KeyPair

RECONNECT = 30  # ms
TRIES = 3  # handshakes that may end without a word: one may have met an arbiter's end, and one its keeper's
SILENCE = 1.0  # seconds after the last of them, or after a connection was lost


class Away(NamedTuple):
    """A daemon on another host: what one must know of it, and who we are there."""

    endpoint: str  # tcp://HOST:PORT
    server_key: str  # in hexadecimal, as KeyPair has them
    client: KeyPair


class RemoteClient:
    def __init__(self, away: Away, timeout: float, clock: Callable[[], float]) -> None:
        """`timeout`: seconds; `clock` counts them."""
        self._away, self._timeout, self._clock = away, timeout, clock

    def call(self, command: str, timeout: float | None = None, /, **properties: Any) -> dict[str, Any]:
        """The reply's fields. Raises NotRunning, TimedOut, KeyRefused, WrongServer, CommandRefused."""
        wait = self._timeout if timeout is None else timeout
        body = json.dumps({"id": os.urandom(16).hex(), "command": command, "properties": properties}).encode()
        for address in self._addresses(command):
            reply = _Talk(self._away, command, self._clock, wait).ask(address, body)
            if reply is not None:
                break
        else:
            where = self._away.endpoint
            raise NotRunning(f"cannot {command}: nobody listens on {where}; start the daemon, or set its control.tcp")
        if reply.get("status") == "error":  # `status NAME` answers with the watcher's own, as circus does
            raise CommandRefused(str(reply.get("reason", "refused without a reason")))
        return reply

    def dial(self, context: zmq.Context[Any]) -> zmq.Socket[bytes]:
        """A connection of its own, to ask more than one question over: tried for as long as the caller has patience.

        Raises NotRunning for a host that has no address.
        """
        address = self._addresses("connect")[0]
        socket: zmq.Socket[bytes] = context.socket(zmq.DEALER)
        for option, value in options(self._away, address).items():
            socket.setsockopt(option, value)
        socket.connect(address)
        return socket

    def _addresses(self, command: str) -> list[str]:
        """A name may have several, and libzmq would try one."""
        host, _, port = self._away.endpoint.removeprefix("tcp://").rpartition(":")
        try:
            found = socket.getaddrinfo(host.strip("[]"), int(port), type=socket.SOCK_STREAM)
        except (OSError, ValueError) as unknown:
            cause = unknown.strerror if isinstance(unknown, OSError) else unknown
            raise NotRunning(f"cannot {command}: no host {host!r}: {cause}; look at the endpoint") from unknown
        numbers = [str(where[0]) for _, _, _, _, where in found]
        return [f"tcp://[{one}]:{port}" if ":" in one else f"tcp://{one}:{port}" for one in numbers]


class _Talk:
    """One request over one connection, and what the monitor tells of it."""

    def __init__(self, away: Away, command: str, clock: Callable[[], float], wait: float) -> None:
        self._away, self._command, self._clock, self._wait = away, command, clock, wait
        self._deadline = self._end = clock() + wait
        self._silent = 0  # handshakes that ended without a word
        self._met = False  # the handshake of this connection succeeded
        self._lost = False  # a connection that had taken the request

    def ask(self, address: str, body: bytes) -> dict[str, Any] | None:
        """The reply; None: nobody listens there."""
        context = zmq.Context()
        unwatched = ExitStack()
        try:
            asking = context.socket(zmq.DEALER)
            asking.monitor(MONITOR, zmq.EVENT_ALL)
            unwatched.callback(asking.disable_monitor)
            monitor = context.socket(zmq.PAIR)
            monitor.connect(MONITOR)
            for option, value in options(self._away, address).items():
                asking.setsockopt(option, value)
            asking.connect(address)
            asking.send(body)
            return self._answer(asking, monitor)
        finally:
            unwatched.close()  # libzmq's own thread would wait for ever to tell a monitor that is closed
            context.destroy(linger=0)  # closes the sockets too, wherever Ctrl-C came

    def _answer(self, asking: zmq.Socket[bytes], monitor: zmq.Socket[bytes]) -> dict[str, Any] | None:
        poller = zmq.Poller()
        poller.register(asking, zmq.POLLIN)
        poller.register(monitor, zmq.POLLIN)
        while True:
            ready = dict(poller.poll(math.ceil(max(0.0, self._deadline - self._clock()) * 1000)))
            if asking in ready:
                reply: dict[str, Any] = json.loads(asking.recv())
                return reply
            if monitor in ready:
                if not self._goes_on(parse_monitor_message(monitor.recv_multipart())["event"]):
                    return None
            elif not ready and self._silent:
                raise self._wrong_server()
            elif not ready:
                where = f"no answer from {self._away.endpoint} in {self._wait:g} s; `--timeout` waits longer"
                raise TimedOut(f"cannot {self._command}: {LOST if self._lost else where}")

    def _goes_on(self, event: int) -> bool:
        """False: nobody listens there. Raises what is wrong with the connection."""
        match event:
            case zmq.EVENT_CLOSED:
                return self._lost  # the daemon may be on its way out, or its arbiter replaced
            case zmq.EVENT_HANDSHAKE_FAILED_AUTH:
                raise KeyRefused(
                    f"cannot {self._command}: {self._away.endpoint} knows no key of ours ({self._away.client.name},"
                    f" {self._away.client.public[:8]}...); have it authorized there: circus-cg keys authorize"
                )
            case zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL:
                self._silent = TRIES
            case zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL:
                self._on_silence()
            case zmq.EVENT_HANDSHAKE_SUCCEEDED if self._lost:
                raise TimedOut(f"cannot {self._command}: {LOST}")
            case zmq.EVENT_HANDSHAKE_SUCCEEDED:
                self._met, self._silent, self._deadline = True, 0, self._end
            case zmq.EVENT_DISCONNECTED if self._met:
                self._lost, self._met = True, False
                self._deadline = min(self._end, self._clock() + SILENCE)  # nobody may ever listen there again
            case zmq.EVENT_DISCONNECTED if not self._silent and not self._lost:
                self._on_silence()  # what it greeted us with is not ZeroMQ; or it was killed in that moment
        if self._silent >= TRIES:
            raise self._wrong_server()
        return True

    def _on_silence(self) -> None:
        self._silent += 1
        self._deadline = min(self._end, self._clock() + SILENCE)  # libzmq may not try again

    def _wrong_server(self) -> WrongServer:
        return WrongServer(
            f"cannot {self._command}: who listens on {self._away.endpoint} doesn't have the server key"
            f" {self._away.server_key[:8]}...; ask for the daemon's: circus-cg keys show --server"
        )


def options(away: Away, address: str) -> dict[int, Any]:
    """Of a socket that is to connect to `address`."""
    return {
        zmq.IPV6: "[" in address,
        zmq.RECONNECT_IVL: RECONNECT,
        zmq.CURVE_SERVERKEY: bytes.fromhex(away.server_key),
        zmq.CURVE_PUBLICKEY: bytes.fromhex(away.client.public),
        zmq.CURVE_SECRETKEY: bytes.fromhex(away.client.secret),
    }
