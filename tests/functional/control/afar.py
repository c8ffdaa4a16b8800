"""A daemon with a network endpoint on the loopback, keys made by the command line, and clients of every kind."""

from __future__ import annotations

import json
import os
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Self

import zmq

from circus_cg.rpc import curve
from circus_cg.rpc.keys import KeyPair
from tests.conftest import SLOWNESS, until
from tests.functional.daemon import PROGRAM, Daemon, typed
from tests.functional.evidence import arbiter_of

DEAF = {"cmd": ["/bin/sh", "-c", "trap '' TERM; while :; do sleep 0.1; done"], "graceful_timeout": 600}
SLEEP = {"cmd": ["sleep", "1000"], "graceful_timeout": 1}
Done = subprocess.CompletedProcess[str]


def free_port(address: str = "127.0.0.1") -> int:
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET) as one:
        one.bind((address, 0))
        return int(one.getsockname()[1])


class Afar:
    """`daemon` serves `endpoint`; `key(name)` makes and authorizes one. The directory has all of it."""

    def __init__(
        self,
        directory: Path,
        name: str,
        address: str = "127.0.0.1",
        deaf: bool = False,
        top: dict[str, Any] | None = None,
        **control: Any,
    ) -> None:
        """`deaf`: with a watcher of that name that no stop ends within minutes, so that waits for it last.

        `top`: more of the configuration's top level.
        """
        self.directory = directory
        self.keys_directory = directory / "keys"
        self.own_directory = directory / "config" / "circus-cg"
        host = f"[{address}]" if ":" in address else address
        self.port = free_port(address)
        self.endpoint = f"tcp://{host}:{self.port}"
        configuration = {
            **(top or {}),
            "control": {"tcp": self.endpoint, "keys": str(self.keys_directory), **control},
            "watchers": {
                "web": SLEEP,
                "web-2": SLEEP,
                "db": {**SLEEP, "env": {"TOKEN": "s3cret"}},
                **({"deaf": DEAF} if deaf else {}),
            },
        }
        self.daemon = Daemon(directory, name, configuration, XDG_CONFIG_HOME=str(directory / "config"))
        self.server_key = self.keys("init").stdout.strip()
        self.pairs: dict[str, KeyPair] = {}

    def __enter__(self) -> Self:
        self.daemon.__enter__()
        return self

    def __exit__(self, *problem: Any) -> None:
        self.daemon.__exit__(*problem)

    @property
    def arbiter(self) -> int:
        return until(lambda: arbiter_of(self.daemon.pid), why="an arbiter") or 0

    @property
    def audit(self) -> list[dict[str, Any]]:
        path = self.directory / "state" / self.daemon.name / "audit.log"
        return [json.loads(line) for line in path.read_text().splitlines()]

    def keys(self, *arguments: str, status: int = 0) -> Done:
        command = [PROGRAM, "keys", "--directory", str(self.keys_directory), *arguments]
        done = typed(command, self.daemon.environment)
        assert done.returncode == status, done.stderr
        return done

    def key(self, name: str, role: str | None, watchers: str | None = None) -> KeyPair:
        """`role` None: a key that nobody authorized."""
        pair = self.pairs[name] = curve.fresh(name)
        if role is not None:
            more = ["--watchers", watchers] if watchers else []
            self.keys("authorize", pair.public, "--name", name, "--role", role, *more)
        return pair

    def own_key(self, name: str, role: str | None = None, watchers: str | None = None) -> str:
        """A file of `keys new`, as --client-key takes it."""
        public = self.keys("new", name).stdout.strip()
        if role is not None:
            more = ["--watchers", watchers] if watchers else []
            self.keys("authorize", public, "--name", name, "--role", role, *more)
        return f"{name}.key"

    def ctl(self, client_key: str, *arguments: str, stdin: str = "", **over: str) -> Done:
        """`circus-cg ctl` from afar; `over`: endpoint, server_key."""
        command = [PROGRAM, "ctl", *self.where(client_key, **over), *arguments]
        return typed(command, self.daemon.environment, stdin)

    def where(self, client_key: str, **over: str) -> list[str]:
        """Options of `ctl`."""
        there = {"endpoint": self.endpoint, "server_key": self.server_key, **over}
        return ["--endpoint", there["endpoint"], "--server-key", there["server_key"], "--client-key", client_key]

    @contextmanager
    def client(self, pair: KeyPair | None, **options: Any) -> Iterator[Peer]:
        """A bare DEALER; `pair` None: without encryption."""
        context = zmq.Context()
        dealer = context.socket(zmq.DEALER)
        try:
            dealer.setsockopt(zmq.IPV6, 1)
            for option, value in options.items():
                dealer.setsockopt(getattr(zmq, option), value)
            if pair is not None:
                dealer.setsockopt(zmq.CURVE_SERVERKEY, bytes.fromhex(self.server_key))
                dealer.setsockopt(zmq.CURVE_PUBLICKEY, bytes.fromhex(pair.public))
                dealer.setsockopt(zmq.CURVE_SECRETKEY, bytes.fromhex(pair.secret))
            dealer.monitor("inproc://monitor", zmq.EVENT_ALL)
            monitor = context.socket(zmq.PAIR)
            monitor.connect("inproc://monitor")
            dealer.connect(self.endpoint)
            yield Peer(dealer, monitor)
        finally:
            if not dealer.closed:
                dealer.disable_monitor()  # libzmq's own thread would wait for ever to tell a monitor that is closed
            context.destroy(linger=0)


class Peer:
    """One client's socket, and what its monitor tells."""

    def __init__(self, dealer: zmq.Socket[bytes], monitor: zmq.Socket[bytes]) -> None:
        self.dealer, self.monitor = dealer, monitor

    def ask(self, command: str, seconds: float = 10, **properties: Any) -> dict[str, Any]:
        self.send(command, **properties)
        reply = self.answer(seconds)
        assert reply is not None, f"no answer to {command}"
        return reply

    def send(self, command: str, **properties: Any) -> None:
        self.dealer.send(json.dumps({"id": command, "command": command, "properties": properties}).encode())

    def answer(self, seconds: float = 10) -> dict[str, Any] | None:
        if not self.dealer.poll(int(seconds * 1000 * SLOWNESS)):
            return None
        reply: dict[str, Any] = json.loads(self.dealer.recv())
        return reply

    def is_silent(self, seconds: float = 0.3) -> bool:
        return not self.dealer.poll(int(seconds * 1000))

    def wait_event(self, event: int, seconds: float = 10) -> None:
        """Until the monitor tells of it."""

        def came() -> bool:
            while self.monitor.poll(0):
                data = self.monitor.recv_multipart()[0]
                if int.from_bytes(data[:2], "little") == event:
                    return True
            return False

        until(came, seconds, f"the event {zmq.Event(event).name}")


def rss_mb(pid: int) -> float:
    text = Path(f"/proc/{pid}/status").read_text()
    return int(text.partition("VmRSS:")[2].split()[0]) / 1024


def open_fds(pid: int) -> int:
    """But for the groups' own files, which come and go with workers and who asks for their statistics."""
    count = 0
    for fd in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):
            count += not os.readlink(fd).startswith("/sys/fs/cgroup/")
    return count
