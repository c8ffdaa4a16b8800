"""The options of `autoscale`, `memory_policy` and `pressure`: a part of `schema.OPTIONS`; and what contradicts what."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from circus_cg.config.option import BYTES, MAX_SECONDS, MAX_WORKERS, SECONDS, Option
from circus_cg.spec import MemoryPolicy, PressurePolicy, ScalePolicy

_SHARE = "a share of the CPU that a worker could use"

AUTOSCALE = Option(
    "how many workers, by how busy they are; `numprocesses` is what it begins with",
    also=("autoscaling", "scale", "cheaper"),
    absent="as many as `numprocesses` says",
)
MEMORY_POLICY = Option("when a worker's memory use is answered by a new life of it")
PRESSURE = Option(
    "end workers when the host is short of memory, the least important watcher's first",
    also=("oomd", "memory_pressure"),
    absent="nobody is ended",
)

SCALING: dict[type[msgspec.Struct], dict[str, Option]] = {
    ScalePolicy: {
        "max": Option("never more workers", least=1, most=MAX_WORKERS, also=("max_workers", "maximum")),
        "min": Option("never fewer", least=1, most=MAX_WORKERS, also=("min_workers", "minimum")),
        "grow_at": Option(f"add workers if all are so busy ({_SHARE}) for `grow_window`", least=0.05, most=1),
        "target": Option("so busy they should be", least=0.05, most=1),
        "shrink_at": Option("remove workers if they are less busy than this for `shrink_window`", least=0, most=1),
        "grow_window": Option("twice as long where they are busy, but not saturated", SECONDS, 0, MAX_SECONDS),
        "shrink_window": Option(
            "longer after a shrink that was a mistake; as long as your load's period, it keeps the workers over it",
            SECONDS,
            0,
            MAX_SECONDS,
            also=("cooldown", "stabilization"),
        ),
        "grow_step": Option("at most this share of the workers is added at once, but always one", least=0, most=100),
        "shrink_step": Option("at most this share is removed at once, but always one", least=0, most=1),
        "sample": Option("how often to look", SECONDS, 0.5, 3600, also=("interval", "period")),
        "warmup": Option("a worker tells how busy it is when it has been ready so long", SECONDS, 0, MAX_SECONDS),
        "cpus": Option("how many CPUs one worker can use: its threads", least=0.01, most=8192, also=("threads",)),
        "backlog": Option("this many waiting requests a ready worker add one at once", least=1, absent="not looked at"),
        "hold": Option("a number of workers that the operator gives stays so long", SECONDS, 0, MAX_SECONDS),
        "dry_run": Option("decide and tell, but leave the number"),
    },
    MemoryPolicy: {
        "restart_above": Option(
            "a worker that uses more gets a new life",
            BYTES,
            4096,
            also=("memory_restart", "max_memory_restart"),
            absent="never",
        ),
        "restart_after": Option("if it does for so long", SECONDS, 0, MAX_SECONDS),
        "stalled_at": Option(
            "percent of time in which all of a worker at its `memory_high` waits for memory", least=1, most=100
        ),
        "stalled_after": Option("after so long of it the worker ends and gets a new life", SECONDS, 0, MAX_SECONDS),
    },
    PressurePolicy: {
        "full_at": Option("percent of time in which everything on the host waits for memory", least=1, most=100),
        "lasting": Option("after so long of it workers end, the least important watcher's first", SECONDS, 0, 3600),
        "calm_at": Option("below this percentage the pressure is over", least=0, most=100),
        "calm_after": Option("if it stays there so long", SECONDS, 0, 3600),
        "pause": Option("from one end to the next", SECONDS, 1, 3600),
    },
}


def scale_problems(policy: ScalePolicy) -> Iterator[tuple[str, str]]:
    """(option, what is wrong) where options contradict each other."""
    if policy.min > policy.max:
        yield "min", f"{policy.min} is more than max {policy.max}"
    if not policy.shrink_at < policy.target:
        yield (
            "shrink_at",
            f"{policy.shrink_at:g} must be less than target {policy.target:g}, or it would go up and down",
        )
    if not policy.target < policy.grow_at:
        yield "grow_at", f"{policy.grow_at:g} must be more than target {policy.target:g}, or it would go up and down"


def pressure_problems(policy: PressurePolicy) -> Iterator[tuple[str, str]]:
    if not policy.calm_at < policy.full_at:
        yield "calm_at", f"{policy.calm_at:g} must be less than full_at {policy.full_at:g}"
