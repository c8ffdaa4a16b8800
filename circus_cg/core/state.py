"""What is known of one slot: the place of a worker, which outlives each of its processes."""

import enum
from math import inf
from typing import Literal

import msgspec

Reason = Literal["memory", "pressure", "watchdog", "start-timeout", "health", "max-age", "stalled"]  # why we end a life


HELD = ("oom-host", "pressure")  # exits for the host's sake: the next life waits until it has memory again


class Phase(enum.StrEnum):
    IDLE = "idle"  # nothing wanted, nothing left
    STARTING = "starting"  # asked for; the exec has not been reported, or the worker has yet to say that it is ready
    READY = "ready"
    BACKOFF = "backoff"  # nothing left; the next life begins at the deadline
    STOPPING = "stopping"  # until the process is gone and its group is empty
    FAILED = "failed"  # nothing left; given up until the operator says otherwise
    DONE = "done"  # nothing left; its life ended and no other follows, until the operator says otherwise


class Exit(msgspec.Struct, frozen=True):
    """How a life ended.

    `reason`: exited, signal, killed (by us), oom, oom-host, exec (never came to it), unknown; or a Reason.
    """

    code: int | None
    signal: int | None
    reason: str
    detail: str
    uptime: float  # seconds since the exec
    at: float
    peak: int | None = None  # bytes of memory

    def __str__(self) -> str:
        more = f": {self.detail}" if self.detail else ""
        match self.reason:
            case "exec":
                return f"could not be started{more}"
            case "unknown":
                return f"ended while no arbiter watched{more}"
            case "oom":
                how = "OOM-killed at its own limit"
            case "oom-host":
                how = "OOM-killed, the host being short of memory"
            case _:
                how = f"exited with status {self.code}" if self.signal is None else f"killed by signal {self.signal}"
                if self.reason not in ("exited", "signal", "killed"):
                    how = f"ended for {self.reason}, {how}"
        return f"{how} after {self.uptime:.2f} s{more}"


class Ending(msgspec.Struct, frozen=True):
    """Why a life is to end that no operator wants to end; `signum` goes to it instead of the first signal."""

    reason: str
    detail: str
    signum: int | None = None

    def __str__(self) -> str:
        return f"{self.reason}: {self.detail}" if self.detail else self.reason


class Instead(msgspec.Struct, frozen=True):
    """The life in whose place another one begins beside it, to end it once it is ready."""

    wid: int
    generation: int
    reason: Reason
    detail: str


class Readiness(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a life has said of itself, and what was found out by asking."""

    awaited: bool = False  # it has yet to say that it is ready; until then it is starting
    period: float = 0.0  # seconds within which it must say that it is alive; 0: it need not
    heard: float = 0.0  # when it last did, became ready or was thawed
    reloading: bool = False
    stopping: bool = False
    status: str = ""
    main_pid: int | None = None  # as it says
    unwell: tuple[str, ...] = ()  # readiness checks that it does not pass


class Slot(msgspec.Struct, frozen=True):
    """Times are seconds on the monotonic clock. `step` alone makes a new one of an old one.

    A struct rather than a dataclass: a restart makes several copies, and copying a struct is far cheaper.
    """

    wid: int
    wanted: bool = False  # what the operator asked for; `phase` is where we are
    phase: Phase = Phase.IDLE
    generation: int = 0  # the last life asked for; 0: never
    deadline: float = inf
    pid: int | None = None
    alive: bool = False  # the life was asked for and its process is not reported gone
    asked: bool = False  # this life's end was asked for: no failure, and no delay after it
    signalled: bool = False  # the stop signal went out
    stage: int = 0  # how many of the stop signals, or ending.LAST
    since: float = 0.0  # when it entered this phase
    started: float | None = None  # when the exec was reported
    restarts: int = 0  # lives begun without being asked for
    delay: float | None = None  # the last backoff, without jitter
    exits: tuple[float, ...] = ()  # ends of the short lives that count for flapping
    retries: int = 0  # flapping waits used up
    exec_failures: int = 0  # in a row
    last_exit: Exit | None = None
    kills: int = 0  # times the group was killed in this life
    stuck: bool = False  # killed again and again, and still not gone
    frozen: bool = False  # its life stands still and no other begins, until a thaw, a stop or a restart
    left: float = 0.0  # of the time until its deadline, for one that is frozen
    cause: int = 0  # id of the event that last changed it
    ending: Ending | None = None  # what its present life is ended for, if for more than an operator's wish
    instead: Instead | None = None  # whom it is to replace; until then it is one more than the watcher's count
    readiness: Readiness = Readiness()
    luck: float = 0.0  # dealt to its present life: how much of max_age_variance is added
    born: str = ""  # plan.digest of the spec that this life began by

    @property
    def serving(self) -> bool:
        """Ready, and neither its checks nor itself say anything else."""
        return self.phase is Phase.READY and not self.readiness.unwell and not self.readiness.stopping
