"""What is below the present use is said, with who uses most."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from circus_cg.core.tight import Used, too_tight
from circus_cg.spec import Limits, WatcherSpec

MB = 1 << 20
WORKERS = [Used("web.1", 10 * MB, 2), Used("web.2", 70 * MB, 5), Used("web.3")]
TOGETHER = Used("web", 80 * MB, 7)


def told(old: dict[str, Any], new: dict[str, Any], which: str = "limits") -> list[str]:
    given: list[dict[str, Any]] = [{which: Limits(**one)} for one in (old, new)]
    specs = [WatcherSpec(name="web", cmd=("x",), **one) for one in given]
    return too_tight(specs[0], specs[1], WORKERS, TOGETHER)


@pytest.mark.parametrize(
    ("old", "new", "which", "text"),
    [
        ({}, {"memory_max": 64 * MB}, "limits", ["limits.memory_max of 64M is below the 70M that web.2 uses"]),
        ({"memory_max": 90 * MB}, {"memory_max": 70 * MB}, "limits", []),
        ({"memory_max": 32 * MB}, {"memory_max": 64 * MB}, "limits", []),
        ({"memory_max": 32 * MB}, {}, "limits", []),
        ({}, {"memory_high": MB}, "limits", ["limits.memory_high of 1M is below the 70M that web.2 uses"]),
        ({}, {"pids_max": 4}, "limits", ["limits.pids_max of 4 is below the 5 that web.2 uses"]),
        ({}, {"memory_max": 75 * MB}, "watcher_limits",
         ["watcher_limits.memory_max of 75M is below the 80M that web uses"]),
        ({}, {"pids_max": 7}, "watcher_limits", []),
        ({}, {"cpu_max": 0.01}, "limits", []),
    ],
)  # fmt: skip
def test_a_limit_that_shrinks_below_the_use_is_told(
    old: dict[str, Any], new: dict[str, Any], which: str, text: list[str]
) -> None:
    assert told(old, new, which) == text


def test_a_watcher_without_workers_takes_any_limit() -> None:
    old, new = (WatcherSpec(name="web", cmd=("x",), limits=one) for one in (Limits(), Limits(memory_max=MB)))
    assert too_tight(old, new, [], Used("web", None, None)) == []


def test_a_limit_that_stays_is_not_told_even_where_more_is_used() -> None:
    assert told({"memory_max": MB}, {"memory_max": MB}) == []


def test_nobody_is_named_where_nobody_is_known_to_use_anything() -> None:
    spec = WatcherSpec(name="web", cmd=("x",))
    none = replace(spec, limits=Limits(pids_max=0))
    assert too_tight(spec, none, [Used("web.1")], Used("web")) == []


def test_processes_are_counted_and_not_measured_in_bytes() -> None:
    spec = WatcherSpec(name="web", cmd=("x",))
    (line,) = too_tight(spec, replace(spec, limits=Limits(pids_max=1024)), [Used("web.1", pids=2048)], Used("web"))
    assert line == "limits.pids_max of 1024 is below the 2048 that web.1 uses"
