"""circus's WatchDog plugin: workers that send `pid;time` to a UDP socket in time, and those that don't."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from circus_cg.core import events as ev
from circus_cg.core.slot import Phase, Slot
from circus_cg.host import clock
from circus_cg.keeper.log import say
from circus_cg.spec import UdpWatchdog, WatcherSpec

if TYPE_CHECKING:  # the arbiter has one of these
    from circus_cg.arbiter.arbiter import Arbiter

MOST = 1024  # bytes of a message, as in circus

Life = tuple[str, int, int]


class Heartbeats(asyncio.DatagramProtocol):
    """Counts from a worker's readiness, a thaw, or our own begin on: all that a new arbiter knows is who lives."""

    def __init__(self, arbiter: Arbiter, spec: UdpWatchdog) -> None:
        self._arbiter, self._spec = arbiter, spec
        self._watchers = re.compile(spec.watchers_regex)
        self._message = re.compile(spec.msg_regex)
        self._heard: dict[Life, float] = {}
        self._transport: asyncio.BaseTransport | None = None

    async def run(self) -> None:
        """Until it is cancelled, and closed."""
        loop, spec = asyncio.get_running_loop(), self._spec
        due = loop.time()
        while True:
            if self._transport is None:
                try:
                    await loop.create_datagram_endpoint(lambda: self, local_addr=(spec.ip, spec.port))
                except OSError as refused:
                    text = f"cannot listen for heartbeats on {spec.ip}:{spec.port}: {refused}; tried again"
                    say("arbiter", f"{text} in {spec.loop_rate:g} s, and until then nobody is watched", "error")
            self._look(clock.now())
            due = max(due + spec.loop_rate, loop.time())
            await asyncio.sleep(due - loop.time())

    def close(self) -> None:
        """The address is free in the loop's next round, before a task that is made after this begins."""
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._heard.clear()

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None

    def datagram_received(self, data: bytes, addr: Any) -> None:
        """What can't be read, or names no worker of ours, is nobody's."""
        found = self._message.match(data[:MOST].decode(errors="replace"))
        text = found["pid"].strip() if found is not None and found["pid"] is not None else ""
        if not (text.isascii() and text.isdecimal()) or len(text) > 10:
            return
        pid = int(text)
        for name, slot in self._watched():
            if slot.pid == pid:
                self._heard[name, slot.wid, slot.generation] = clock.now()

    def _look(self, now: float) -> None:
        if self._transport is None:
            return
        limit = self._spec.loop_rate * self._spec.max_count
        heard: dict[Life, float] = {}
        late = []
        for name, slot in self._watched():
            life = name, slot.wid, slot.generation
            heard[life] = now if slot.frozen else max(self._heard.get(life, now), slot.since)
            if now - heard[life] > limit:
                late.append((name, slot))
        self._heard = heard
        for name, slot in late:
            self._end(name, slot, limit)

    def _watched(self) -> list[tuple[str, Slot]]:
        return [
            (name, slot)
            for name, runner in self._arbiter.runners.items()
            if self._watchers.match(name)
            for slot in runner.slots.values()
            if slot.phase is Phase.READY and slot.pid is not None
        ]

    def _end(self, name: str, slot: Slot, limit: float) -> None:
        runner, spec = self._arbiter.runners[name], self._spec
        number, why = self._arbiter.journal.next_id(), f"no heartbeat for {limit:g} s"
        event = ev.End(number, slot.generation, "watchdog", why, spec.stop_signal)
        patience: WatcherSpec = runner.spec
        if spec.graceful_timeout is not None:
            patience = replace(patience, graceful_timeout=spec.graceful_timeout, stop=())
        runner.deliver(slot.wid, event, spec=patience)


class UdpWatchdogs:
    """The one that the configuration wants at each moment, or none."""

    def __init__(self, arbiter: Arbiter) -> None:
        self._arbiter = arbiter
        self._spec: UdpWatchdog | None = None
        self._current: Heartbeats | None = None
        self._task: asyncio.Task[None] | None = None

    def adjust(self) -> None:
        """By the configuration as it is now. Another rule begins with nobody late."""
        wanted = self._arbiter.boot.spec.udp_watchdog
        if wanted == self._spec:
            return
        self.close()
        self._spec = wanted
        if wanted is not None:
            self._current = Heartbeats(self._arbiter, wanted)
            self._task = self._arbiter.spawn_task(self._current.run())

    def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
        if self._current is not None:
            self._current.close()
        self._spec = self._current = self._task = None
