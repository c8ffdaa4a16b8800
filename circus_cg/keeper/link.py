"""The arbiter as the keeper sees it: a child that may die at any instant, a channel made anew for each, a ping."""

import os
import signal
import socket
from collections.abc import Callable
from contextlib import suppress
from math import inf

from circus_cg.keeper import audit
from circus_cg.keeper.messages import Message
from circus_cg.keeper.wire import Channel, Closed, lift, pair

ARBITER_FD = 3  # where every arbiter finds its channel
PASSED_FD = 4  # and, from here on, what is passed to it
PING_EVERY = 10.0  # seconds of silence before a ping
SILENCE_LIMIT = 30.0  # seconds without any word: killed and replaced
GIVE_UP_AFTER = 3  # starts in a row that never got ready, with nothing to supervise yet


def restart_delay(failures: int) -> float:
    """Seconds before the next arbiter: the first death is answered at once, a series is slowed to 10 s."""
    return 0.0 if failures <= 1 else min(10.0, 0.1 * 2.0 ** (failures - 2))


class ArbiterLink:
    """At most one arbiter. `deadline` is when `on_deadline` wants to be called."""

    def __init__(self, boot: Message) -> None:
        """The record that arbiters are started by; its `pass_fds` are above the numbers that they are put at."""
        self._boot = boot
        self.channel: Channel | None = None
        self.pid: int | None = None
        self.failures = 0  # deaths since an arbiter last became ready
        self.was_ready = False
        self._is_ready = False  # the one that lives now
        self._heard = 0.0
        self._pinged = False
        self._restart_at = inf

    @property
    def answering(self) -> bool:
        """It lives, has become ready, and owes no answer to a ping."""
        return self.pid is not None and self._is_ready and not self._pinged

    @property
    def deadline(self) -> float:
        if self.pid is None:
            return self._restart_at
        return self._heard + (SILENCE_LIMIT if self._pinged else PING_EVERY)

    def start(self, inventory: list[Message], now: float) -> None:
        """The inventory waits in the channel before the arbiter's first instruction: no request can be stale."""
        ours, theirs = pair()
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
        theirs.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
        self.channel = Channel(ours)
        self._restart_at, self._heard, self._pinged = inf, now, False
        try:
            for message in inventory:
                self.channel.send(message)
            self.pid = self._spawn(theirs.fileno())
        finally:
            theirs.close()

    def become(self, boot: Message, now: float) -> None:
        """The next arbiters are by another record; none lives now, and the first is due at once."""
        self._boot = boot
        self.failures, self._restart_at = 0, now

    def ask_to_leave(self) -> None:
        """It sees the end of its channel; what it has asked and still asks is read to its end."""
        if self.channel is not None:
            self.channel.shut_sending()

    def send(self, message: Message) -> None:
        """Dropped when no arbiter lives, or it was asked to leave: the next one gets the inventory instead."""
        if self.channel is not None:
            with suppress(Closed):  # its end is on the way to us; records stay until acknowledged
                self.channel.send(message)

    def kill(self) -> None:
        if self.pid is not None:
            os.kill(self.pid, signal.SIGKILL)  # ours and not yet reaped, so the pid is safe

    def heard(self, now: float) -> None:
        self._heard, self._pinged = now, False

    def ready(self) -> None:
        self.was_ready, self._is_ready, self.failures = True, True, 0

    def ping(self, now: float) -> None:
        self.send({"op": "ping"})
        self._heard, self._pinged = now - PING_EVERY, True

    def on_deadline(self, now: float, restart: Callable[[], None]) -> None:
        if now < self.deadline:
            return
        if self.pid is None:
            restart()
        elif self._pinged:
            self.kill()
            self._heard = now
        else:
            self.ping(now)

    def died(self, now: float) -> None:
        self.close()
        self.pid, self._is_ready = None, False
        self.failures += 1
        self._restart_at = now + restart_delay(self.failures)

    def close(self) -> None:
        if self.channel is not None:
            self.channel.close()
            self.channel = None

    def _spawn(self, their_fd: int) -> int:
        """Its last argument is the descriptor of the audit file, or -1; none where nobody said what file that is."""
        opened = [lift(their_fd)]
        try:
            passed, argv = self._boot["pass_fds"], self._boot["arbiter"]["argv"]
            if "audit" in self._boot:
                fd = audit.opened(self._boot["audit"])
                opened += [] if fd == audit.UNAUDITED else [fd]
                argv = [*argv, str(fd if fd == audit.UNAUDITED else PASSED_FD + len(passed))]
            targets = enumerate([opened[0], *passed, *opened[1:]], ARBITER_FD)
            actions = [(os.POSIX_SPAWN_DUP2, fd, target) for target, fd in targets]
            return os.posix_spawn(
                argv[0],
                argv,
                self._boot["arbiter"]["env"],
                file_actions=actions,
                setsid=True,
                setsigdef=[
                    signal.SIGPIPE,
                    signal.SIGTERM,
                    signal.SIGINT,
                    signal.SIGHUP,
                    signal.SIGCHLD,
                ],
            )
        finally:
            for fd in opened:
                os.close(fd)
