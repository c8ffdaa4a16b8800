"""Everything a slot can ask for. `cause` is the id of the event that led to it."""

from dataclasses import dataclass
from typing import Literal

from circus_cg.core.state import Exit

Kind = Literal[
    "started", "ready", "reloading", "reloaded", "unready", "serving", "exit", "stopping", "backoff", "flapping",
    "failed", "done", "stuck", "stopped", "frozen", "thawed",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Spawn:
    """Begin this life in a group of its own; Spawned, LaunchFailed, Exited or Refused answers."""

    generation: int
    cause: int


@dataclass(frozen=True, slots=True)
class Signal:
    """To the life's main process; with `group` to all that is in the life's group."""

    generation: int
    signum: int
    cause: int
    group: bool = False


@dataclass(frozen=True, slots=True)
class KillGroup:
    """SIGKILL to all that is in the life's group; once its process is gone, Emptied tells when all are."""

    generation: int
    cause: int


@dataclass(frozen=True, slots=True)
class RemoveGroup:
    """The life is over: its group is empty and no longer needed."""

    generation: int
    cause: int


@dataclass(frozen=True, slots=True)
class FreezeGroup:
    """Nothing in the life's group runs on, and nothing that is put into it."""

    generation: int
    cause: int


@dataclass(frozen=True, slots=True)
class ThawGroup:
    generation: int
    cause: int


@dataclass(frozen=True, slots=True)
class Publish:
    """Tell whoever listens; `detail` is for people, the rest for programs."""

    kind: Kind
    detail: str
    cause: int
    generation: int = 0  # the life it is about
    pid: int | None = None  # of that life
    exit: Exit | None = None  # how it ended, for `exit`


Effect = Spawn | Signal | KillGroup | RemoveGroup | FreezeGroup | ThawGroup | Publish
