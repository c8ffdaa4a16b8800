"""The head of a keeper that a library started: the caller's own process, which holds the arbiter and may just die.

It is not our child and is never started again: its end, by whatever way, is the end of all it asked for.
"""

import os
import socket
from contextlib import suppress
from math import inf

from circus_cg.keeper.messages import Message
from circus_cg.keeper.wire import Channel, Closed

BEGIN = b"begin"  # the first packet of the head, once our groups are there
BOOT_FD, CHANNEL_FD, PIDFD = 3, 4, 5  # how they are given to us


class Head:
    """What the keeper's loop needs of an arbiter's link; see `link.ArbiterLink`."""

    was_ready = True  # there is no start to wait for
    answering = True  # nobody asks
    failures = 0
    pid: int | None = None  # none to kill or to wait for
    deadline = inf  # nor to ping: a caller may be busy for as long as it likes

    def __init__(self) -> None:
        self.channel: Channel | None = Channel(socket.socket(fileno=CHANNEL_FD))
        self.pidfd = PIDFD
        for fd in (CHANNEL_FD, PIDFD):
            os.set_inheritable(fd, False)

    def send(self, message: Message) -> None:
        if self.channel is not None:
            with suppress(Closed):
                self.channel.send(message)

    def heard(self, now: float) -> None:
        """Nothing: it is not watched for silence."""

    def ready(self) -> None:
        """Nothing: as `heard`."""

    def ping(self, now: float) -> None:
        """Nothing: as `heard`."""

    def on_deadline(self, now: float, restart: object) -> None:
        """Nothing: it has none."""

    def close(self) -> None:
        if self.channel is not None:
            self.channel.close()
            self.channel = None
