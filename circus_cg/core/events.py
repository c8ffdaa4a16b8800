"""Everything that can happen to a slot. `id` tells events apart; what follows from one carries it as its cause.

A generation is one life of a slot; events of another life than the slot's present one are ignored.
"""

from typing import Literal

import msgspec

from circus_cg.core.notification import Word
from circus_cg.core.state import Instead, Reason


class Start(msgspec.Struct, frozen=True):
    """The operator wants a worker here; also the way out of `failed`, and past a delay.

    `instead`: it is wanted only until it is ready and takes that life's place; a Start without it makes it stay.
    """

    id: int
    instead: Instead | None = None


class Stop(msgspec.Struct, frozen=True):
    """The operator wants nothing here."""

    id: int


class Restart(msgspec.Struct, frozen=True):
    """The operator wants a new life here, whatever there is now."""

    id: int


class Freeze(msgspec.Struct, frozen=True):
    """The operator wants the worker to stand still: no instruction, no deadline, no next life."""

    id: int


class Thaw(msgspec.Struct, frozen=True):
    """It goes on where it stood."""

    id: int


class End(msgspec.Struct, frozen=True):
    """This life is to end, and not because an operator says so. `signum` is sent instead of the first stop signal."""

    id: int
    generation: int
    reason: Reason
    detail: str
    signum: int | None = None


class Told(msgspec.Struct, frozen=True):
    """The life says something of itself."""

    id: int
    generation: int
    word: Word


class Checked(msgspec.Struct, frozen=True):
    """Which of the life's readiness checks it does not pass now."""

    id: int
    generation: int
    failing: tuple[str, ...]
    detail: str = ""


class Spawned(msgspec.Struct, frozen=True):
    """The life's exec happened."""

    id: int
    generation: int
    pid: int


class LaunchFailed(msgspec.Struct, frozen=True):
    """The life ended before its exec and left no process. `stage` is what failed, `text` the errno in words."""

    id: int
    generation: int
    stage: str
    errno: int
    text: str


class Exited(msgspec.Struct, frozen=True):
    """The life's process is gone. One of `code` and `signal` is set; `populated`: others remain in its group."""

    id: int
    generation: int
    code: int | None
    signal: int | None
    oom: Literal["own", "host"] | None  # the OOM killer did it: at our own limit, or for want of memory on the host
    detail: str
    populated: bool
    peak: int | None = None  # bytes of memory, where the kernel told of it


class Emptied(msgspec.Struct, frozen=True):
    """The life's group holds no process any more."""

    id: int
    generation: int


class Refused(msgspec.Struct, frozen=True):
    """The keeper did not do the spawn: its last life here is `generation`, running as `pid` (None: not running)."""

    id: int
    generation: int
    pid: int | None


class DeadlineReached(msgspec.Struct, frozen=True):
    """The time the slot asked to be woken at has come."""

    id: int


Command = Start | Stop | Restart | Freeze | Thaw
Event = Command | End | Told | Checked | Spawned | LaunchFailed | Exited | Emptied | Refused | DeadlineReached
