"""Everything a slot can ask for. `cause` is the id of the event that led to it."""

from typing import Literal

import msgspec

from circus_cg.core.state import Exit

Kind = Literal[
    "started", "ready", "reloading", "reloaded", "unready", "serving", "exit", "stopping", "backoff", "flapping",
    "failed", "done", "stuck", "stopped", "frozen", "thawed",
]  # fmt: skip


class Spawn(msgspec.Struct, frozen=True):
    """Begin this life in a group of its own; Spawned, LaunchFailed, Exited or Refused answers."""

    generation: int
    cause: int


class Signal(msgspec.Struct, frozen=True):
    """To the life's main process; with `group` to all that is in the life's group."""

    generation: int
    signum: int
    cause: int
    group: bool = False


class KillGroup(msgspec.Struct, frozen=True):
    """SIGKILL to all that is in the life's group; once its process is gone, Emptied tells when all are."""

    generation: int
    cause: int


class RemoveGroup(msgspec.Struct, frozen=True):
    """The life is over: its group is empty and no longer needed."""

    generation: int
    cause: int


class FreezeGroup(msgspec.Struct, frozen=True):
    """Nothing in the life's group runs on, and nothing that is put into it."""

    generation: int
    cause: int


class ThawGroup(msgspec.Struct, frozen=True):
    generation: int
    cause: int


class Publish(msgspec.Struct, frozen=True):
    """Tell whoever listens; `detail` is for people, the rest for programs."""

    kind: Kind
    detail: str
    cause: int
    generation: int = 0  # the life it is about
    pid: int | None = None  # of that life
    exit: Exit | None = None  # how it ended, for `exit`


Effect = Spawn | Signal | KillGroup | RemoveGroup | FreezeGroup | ThawGroup | Publish
