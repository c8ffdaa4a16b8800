"""A real daemon under a flood of frames: who may what stays so, nothing crashes, nothing grows."""

from __future__ import annotations

import random
import secrets
import socket
import tempfile
import time
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import zmq

from circus_cg.arbiter.commands import COMMANDS
from circus_cg.core.access import Caller, role_of
from circus_cg.rpc import curve
from tests.functional.control.afar import Afar, Peer, open_fds, rss_mb
from tests.fuzz.frames import message, stranger

KEYS = {"looks": ("observe", None), "some": ("observe", "web*"), "operates": ("operate", "web*")}
STRANGERS = 100  # one for so many frames of those with a key
# What is kept of the past has bounds, and answers about it are as large as it is: full before memory is looked at.
BOUNDS = {"events_kept": 100, "history": {"size": "1M"}}
CONTROL = {"rate": 1e6, "burst": 1_000_000, "queue": 10_000, "handshake_timeout": "500ms"}
WARM = 0.2  # of the frames, before memory and descriptors are looked at
MAY_GROW = 8.0  # MB: what the allocators keep


def fuzz(frames: int, seed: int) -> dict[str, Any]:
    """Counts, all of which should be 0 but `frames`, `answers`, `done` and `strangers`."""
    with tempfile.TemporaryDirectory(prefix="circus-cg-fuzz-") as directory, ExitStack() as held:
        running = held.enter_context(Afar(Path(directory), f"fuzz-{secrets.token_hex(4)}", top=BOUNDS, **CONTROL))
        return _Fuzz(running, held, random.Random(seed)).run(frames)


class _Fuzz:
    def __init__(self, running: Afar, held: ExitStack, chance: random.Random) -> None:
        self._running, self._held, self._chance = running, held, chance
        self._arbiter = running.arbiter
        self._callers = {}
        for name, (role, watchers) in KEYS.items():
            running.key(name, role, watchers)
            self._callers[name] = Caller(name, role_of(role), (watchers,) if watchers else ())
        self._peers = [held.enter_context(running.client(running.pairs[name])) for name in KEYS]
        self._unknown = held.enter_context(running.client(curve.fresh("looks")))
        self._answers = 0

    def run(self, frames: int) -> dict[str, Any]:
        for peer in self._peers:
            peer.ask("list")
        untouched = self._untouched()
        memory, fds = 0.0, 0
        samples: list[float] = []  # MB
        begun = time.monotonic()
        for number in range(frames):
            if number == int(frames * WARM):
                self._settle()
                memory, fds = rss_mb(self._arbiter), open_fds(self._arbiter)
            if number % max(1, frames // 10) == 0:
                samples.append(round(rss_mb(self._arbiter), 1))
            self._say(self._chance.choice(self._peers))
            if number % STRANGERS == 0:
                self._strange()
        took = time.monotonic() - begun
        self._settle()
        grown = rss_mb(self._arbiter) - memory
        beyond, done = self._judge()
        return {
            "frames": frames,
            "seconds": round(took, 1),
            "answers": self._answers,
            "done": done,
            "strangers": frames // STRANGERS,
            "crashes": int(self._running.arbiter != self._arbiter),
            "beyond_role": beyond,
            "touched": int(self._untouched() != untouched),
            "leaked_fds": max(0, open_fds(self._arbiter) - fds),
            "grown_mb": round(grown, 1),
            "memory_mb": samples,
            "grew": int(grown > MAY_GROW),
            "strangers_answered": int(bool(self._unknown.dealer.poll(0))),
        }

    def _say(self, peer: Peer) -> None:
        """One message; answers are read as they come, and a full socket is waited for."""
        parts = message(self._chance)
        while True:
            with suppress(zmq.Again):
                peer.dealer.send_multipart(parts, zmq.NOBLOCK)
                break
            self._read()
            time.sleep(0.001)
        self._read()

    def _read(self) -> None:
        for peer in self._peers:
            with suppress(zmq.Again):
                while True:
                    peer.dealer.recv_multipart(zmq.NOBLOCK)
                    self._answers += 1
            with suppress(zmq.Again):
                while True:
                    peer.monitor.recv_multipart(zmq.NOBLOCK)

    def _strange(self) -> None:
        with suppress(zmq.Again):
            self._unknown.dealer.send_multipart(message(self._chance), zmq.NOBLOCK)
        with suppress(OSError), socket.create_connection(("127.0.0.1", self._running.port), 5) as raw:
            raw.sendall(stranger(self._chance))
            raw.settimeout(0.001)
            raw.recv(1000)

    def _settle(self) -> None:
        """Until a quiet second has passed."""
        quiet = time.monotonic() + 1.0
        while time.monotonic() < quiet:
            before = self._answers
            self._read()
            if self._answers != before:
                quiet = time.monotonic() + 1.0
            time.sleep(0.01)

    def _untouched(self) -> Any:
        """What none of the keys may change."""
        daemon = self._running.daemon
        options = {name: daemon.ctl("options", name)["options"] for name in ("web", "web-2", "db")}
        pids = [(row["wid"], row["pid"]) for row in daemon.workers("db")]
        return daemon.ctl("list"), options, pids

    def _judge(self) -> tuple[int, int]:
        """(commands that were done and should not have been, commands that were done)"""
        beyond = done = 0
        for line in self._running.audit:
            if line["result"] != "ok" or line["key"] == "local":
                continue
            done += 1
            caller, command = self._callers[line["key"]], COMMANDS[line["command"].lower()]
            whole = bool(caller.watchers) and not command.names_watchers
            beyond += int(not caller.may(command.role) or whole)
        return beyond, done
