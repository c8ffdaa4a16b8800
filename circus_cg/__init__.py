"""circus-cg: a cgroups-aware process and container supervisor, and a library of workers with limits.

from circus_cg import Limits, get_trainer

with get_trainer("python3 worker.py", 3, limits=Limits(memory_max="64M")) as trainer:
    trainer.wait()
"""

# The keeper, which may use the standard library only, imports this module too: the library comes when it is asked for.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from circus_cg.errors import CircusCgError, ConfigError, HostError, Lost, NotRunning, StartFailed
    from circus_cg.library.embedded import LocalArbiter, Trainer
    from circus_cg.library.events import Event
    from circus_cg.library.limits import Limits
    from circus_cg.library.making import get_arbiter, get_trainer
    from circus_cg.library.workers import LastExit, WatcherHandle, Worker
    from circus_cg.spec import Backoff, Flapping, WatcherSpec

__version__ = "0.1.0"

__all__ = [
    "Backoff",
    "CircusCgError",
    "ConfigError",
    "Event",
    "Flapping",
    "HostError",
    "LastExit",
    "Limits",
    "LocalArbiter",
    "Lost",
    "NotRunning",
    "StartFailed",
    "Trainer",
    "WatcherHandle",
    "WatcherSpec",
    "Worker",
    "__version__",
    "get_arbiter",
    "get_trainer",
]

_ROOMS = {
    "circus_cg.errors": ("CircusCgError", "ConfigError", "HostError", "Lost", "NotRunning", "StartFailed"),
    "circus_cg.library.embedded": ("LocalArbiter", "Trainer"),
    "circus_cg.library.events": ("Event",),
    "circus_cg.library.limits": ("Limits",),
    "circus_cg.library.making": ("get_arbiter", "get_trainer"),
    "circus_cg.library.workers": ("LastExit", "WatcherHandle", "Worker"),
    "circus_cg.spec": ("Backoff", "Flapping", "WatcherSpec"),
}


def __getattr__(name: str) -> object:
    for room, names in _ROOMS.items():
        if name in names:
            import importlib  # noqa: PLC0415 - as the first line says

            value: object = getattr(importlib.import_module(room), name)
            globals()[name] = value
            return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
