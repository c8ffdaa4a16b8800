"""Which rules allow how many more workers."""

from typing import Any

import pytest

from circus_cg.core.load import Load, Sample
from circus_cg.core.room import Veto, room, tightest


def load(sample: dict[str, Any] | None = None, **more: Any) -> Load:
    """Four workers, nothing in their way."""
    fields: dict[str, Any] = {
        "seconds": 2.0, "measured": 4, "wanted": 4, "warming": 0, "unread": 0, "lost": 0, "flapping": 0, "work": 4.0,
        "useful": 4.0, "saturation": 1.0, "worker_cpus": 1.0, "quota_workers": None, "throttled": None,
        "worker_throttled": False, "overrun": False, "host_idle": None, "shares": {},
    }  # fmt: skip
    return Load(at=100.0, sample=Sample(at=100.0, workers=(), **(sample or {})), **(fields | more))


@pytest.mark.parametrize(
    ("sample", "more", "rules"),
    [
        ({}, {}, []),
        ({}, {"warming": 1}, [(Veto.IN_FLIGHT, 0)]),
        ({}, {"flapping": 1}, [(Veto.CRASH_LOOP, 0)]),
        ({"last_oom": 40.1}, {}, [(Veto.RECENT_OOM, 0)]),
        ({"last_oom": 40.0}, {}, []),
        ({"memory_some": 10.1}, {}, [(Veto.PRESSURE, 0)]),
        ({"memory_some": 10.0}, {}, []),
        ({"memory_full": 10.1, "memory_some": 1.0}, {}, [(Veto.PRESSURE, 0)]),
        ({"memory_current": 400, "memory_limit": 699}, {}, [(Veto.MEMORY, 2)]),
        ({"memory_current": 400, "memory_limit": 700}, {}, [(Veto.MEMORY, 3)]),
        ({"memory_current": 400, "memory_limit": 300}, {}, [(Veto.MEMORY, 0)]),
        ({"memory_current": 400, "memory_limit": 700}, {"lost": 2}, [(Veto.MEMORY, 1)]),
        ({"memory_current": 400, "memory_limit": 700}, {"lost": 4}, []),
        ({"memory_current": 0, "memory_limit": 700}, {}, []),
        ({"memory_current": 400, "host_memory": 150}, {}, [(Veto.MEMORY, 1)]),
        ({"memory_current": 400, "memory_limit": 700, "host_memory": 150}, {}, [(Veto.MEMORY, 3), (Veto.MEMORY, 1)]),
        ({"pids_current": 8, "pids_max": 13}, {}, [(Veto.PIDS_MAX, 2)]),
        ({"pids_current": 8, "pids_max": 13}, {"lost": 3}, [(Veto.PIDS_MAX, 0)]),
        ({"pids_current": 8, "pids_max": 13}, {"lost": 4}, []),
        ({"pids_current": 0, "pids_max": 13}, {}, []),
        ({"pids_current": 8}, {}, []),
        ({}, {"quota_workers": 5.2}, [(Veto.QUOTA_BOUND, 2)]),
        ({}, {"quota_workers": 5.2, "lost": 1}, [(Veto.QUOTA_BOUND, 3)]),
        ({}, {"quota_workers": 2.0}, [(Veto.QUOTA_BOUND, 0)]),
        ({}, {"throttled": 0.06}, [(Veto.QUOTA_BOUND, 0)]),
        ({}, {"throttled": 0.05}, []),
        ({"cpu_some": 25.1}, {}, [(Veto.STARVED, 0)]),
        ({"cpu_some": 25.0}, {}, []),
        ({"cpu_some": 25.1}, {"worker_throttled": True}, []),
        ({"cpu_some": 25.1}, {"throttled": 0.01}, []),
        ({"cpu_some": 25.1}, {"throttled": 0.0}, [(Veto.STARVED, 0)]),
        ({}, {"host_idle": 1.4}, [(Veto.STARVED, 1)]),
        ({}, {"host_idle": 1.5}, [(Veto.STARVED, 2)]),
        ({}, {"host_idle": 3.0, "worker_cpus": 2.0}, [(Veto.STARVED, 2)]),
    ],
)
def test_each_rule_says_how_many_it_allows(
    sample: dict[str, Any], more: dict[str, Any], rules: list[tuple[Veto, int]]
) -> None:
    assert list(room(load(sample, **more), 100.0)) == rules


def test_the_tightest_rule_decides() -> None:
    assert tightest(load(), 100.0) == (None, 0)
    assert tightest(load({"memory_current": 400, "memory_limit": 700}, host_idle=1.0), 100.0) == (Veto.STARVED, 1)
    assert tightest(load({"memory_current": 400, "memory_limit": 500}, host_idle=3.0), 100.0) == (Veto.MEMORY, 1)
