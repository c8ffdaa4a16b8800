"""Who floods the endpoint: `python -m bench.flooder fast|deaf|half_open PORT`, its keys as JSON on standard input.

fast asks as often as it can and reads the answers; deaf asks and never reads; half_open holds connections without a
word and opens another for each that is ended. It says `begun` when it has, and goes on until it is terminated.
"""

from __future__ import annotations

import json
import resource
import select
import socket
import sys
import time

import zmq

HALF_OPEN = 5000
AT_ONCE, PAUSE = 5, 0.004  # connections, seconds: all of them anew within a handshake's time-out
ASK = b'{"id": "f", "command": "list"}'


def main() -> None:
    kind, port = sys.argv[1], int(sys.argv[2])
    keys = json.loads(sys.stdin.readline())
    match kind:
        case "half_open":
            _half_open(port)
        case "fast" | "deaf":
            _ask(port, keys, reading=kind == "fast")
        case _:
            sys.exit(__doc__)


def _ask(port: int, keys: dict[str, str], *, reading: bool) -> None:
    dealer = zmq.Context().socket(zmq.DEALER)
    for option, value in keys.items():
        dealer.setsockopt(getattr(zmq, option), bytes.fromhex(value))
    if not reading:
        dealer.setsockopt(zmq.RCVHWM, 1)
        dealer.setsockopt(zmq.RCVBUF, 4096)
    dealer.connect(f"tcp://127.0.0.1:{port}")
    dealer.send(ASK)
    dealer.poll(10_000)
    _begun()
    while True:
        try:
            dealer.send(ASK, zmq.NOBLOCK)
        except zmq.Again:
            time.sleep(0.001)
        while reading and dealer.poll(0):
            dealer.recv()


def _half_open(port: int) -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    ends, held = select.epoll(), {}
    missing, told = HALF_OPEN, False
    while True:
        for _ in range(min(AT_ONCE, missing)):
            one = socket.create_connection(("127.0.0.1", port))
            held[one.fileno()] = one
            ends.register(one, select.EPOLLIN)
            missing -= 1
        if missing == 0 and not told:
            told = True
            _begun()
        for fd, _event in ends.poll(0):
            if not _greeting_alone(held[fd]):
                held.pop(fd).close()
                missing += told  # the first 5,000 are opened once
        time.sleep(PAUSE)


def _greeting_alone(one: socket.socket) -> bool:
    """ZeroMQ greets at once; what follows that is the end."""
    try:
        return bool(one.recv(1000))
    except OSError:
        return False


def _begun() -> None:
    print("begun", flush=True)


if __name__ == "__main__":  # the measure imports a number of it
    main()
