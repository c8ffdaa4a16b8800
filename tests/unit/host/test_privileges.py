"""What this process may not give a worker is known before it is tried."""

from __future__ import annotations

from typing import Any

import pytest

from circus_cg.host.privileges import Privileges, held, refusals
from circus_cg.linux import CAPABILITIES, capability_mask
from circus_cg.spec import Rlimit, WatcherSpec

ALL = capability_mask(CAPABILITIES)
ROOT = Privileges(
    effective=ALL, permitted=ALL, bounding=ALL, oom_score_adj=0, cpus=frozenset({0, 1}), nice=0,
    hard={"nofile": 4096, "core": None, "nice": 0, "rtprio": 0},
)  # fmt: skip
NOBODY = ROOT._replace(effective=0, permitted=0)


def told(mine: Privileges, **options: Any) -> list[str]:
    """The options that are refused."""
    return [line.partition(":")[0] for line in refusals(WatcherSpec(name="w", cmd=("a",), **options), mine)]


ASKED: list[tuple[dict[str, Any], str]] = [
    ({"oom_score_adj": -1}, "oom_score_adj"),
    ({"rlimits": {"nofile": Rlimit(soft=1, hard=4097)}}, "rlimits.nofile"),
    ({"rlimits": {"nofile": Rlimit(soft=1)}}, "rlimits.nofile"),
    ({"nice": -1}, "nice"),
    ({"sched_policy": "fifo"}, "sched_policy"),
    ({"ionice_class": "realtime"}, "ionice_class"),
    ({"bounding_capabilities": ("kill",)}, "bounding_capabilities"),
    ({"ambient_capabilities": ("kill",)}, "ambient_capabilities"),
]


@pytest.mark.parametrize(("options", "named"), ASKED)
def test_what_takes_a_capability_is_refused_without_it_and_granted_with_it(options: dict[str, Any], named: str) -> None:
    assert told(NOBODY, **options) == [named]
    assert told(ROOT, **options) == []


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"oom_score_adj": 0},
        {"rlimits": {"nofile": Rlimit(soft=1, hard=4096), "core": Rlimit()}},
        {"nice": 5},
        {"sched_policy": "idle"},
        {"ionice_class": "idle"},
        {"cpu_affinity": "0-1"},
        {"no_new_privs": True},
        {"ambient_capabilities": ()},
        {"bounding_capabilities": CAPABILITIES},
    ],
)
def test_what_takes_none_is_never_refused(options: dict[str, Any]) -> None:
    assert told(NOBODY, **options) == []


def test_a_daemon_above_or_below_zero_may_give_its_own_oom_score() -> None:
    assert told(NOBODY._replace(oom_score_adj=-500), oom_score_adj=-500) == []
    assert told(NOBODY._replace(oom_score_adj=-500), oom_score_adj=-501) == ["oom_score_adj"]
    assert told(NOBODY._replace(oom_score_adj=500), oom_score_adj=0) == [], "the kernel remembers what it was before"


def test_an_rlimit_may_allow_what_a_capability_would() -> None:
    allowed = NOBODY._replace(hard={**NOBODY.hard, "nice": 25, "rtprio": 5})
    assert told(allowed, nice=-5, sched_policy="rr") == []
    assert told(allowed, nice=-6) == ["nice"]


def test_a_capability_that_the_daemon_lacks_itself_cannot_be_given() -> None:
    assert told(ROOT._replace(bounding=ALL & ~capability_mask(["kill"])), ambient_capabilities=("kill", "chown")) == [
        "ambient_capabilities"
    ]


def test_a_cpu_that_is_not_there_is_refused() -> None:
    assert told(ROOT, cpu_affinity="1-2") == ["cpu_affinity"]


def test_what_this_process_holds_is_read() -> None:
    mine = held()
    assert mine.effective & ~mine.permitted == 0 and mine.cpus
    assert {"nofile", "nice", "rtprio", "core", "as"} <= set(mine.hard)
