"""When a life that goes on under a configuration read anew is one of yesterday: `plan.digest`, against `plan.diff`."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from circus_cg.core import plan
from circus_cg.spec import Backoff, Limits, Rlimit, ScalePolicy, Watchdog, WatcherSpec

SPEC = WatcherSpec(name="w", cmd=("sleep", "9"), env={"A": "1"}, limits=Limits(memory_max=1 << 26))
CHANGES: list[dict[str, Any]] = [
    {"cmd": ("sleep", "10")},
    {"env": {"A": "2"}},
    {"env": {}},
    {"uid": 1000},
    {"groups": ()},
    {"rlimits": {"nofile": Rlimit(soft=1, hard=2)}},
    {"stdout": "null"},
    {"nice": 0},
    {"limits": Limits()},
    {"limits": Limits(memory_max=1 << 27)},
    {"watcher_limits": Limits(pids_max=9)},
    {"watcher_limits": Limits(memory_max=1 << 28)},
    {"numprocesses": 4},
    {"graceful_timeout": 1.0},
    {"backoff": Backoff(initial=3.0)},
    {"autostart": False},
]


@pytest.mark.parametrize("change", CHANGES, ids=[f"{next(iter(change))}-{i}" for i, change in enumerate(CHANGES)])
def test_a_life_is_outdated_exactly_by_what_set_would_renew_it_for(change: dict[str, Any]) -> None:
    other = replace(SPEC, **change)
    assert (plan.digest(other) != plan.digest(SPEC)) == plan.diff(SPEC, other).renew


def test_it_is_the_same_for_the_same_spec_however_that_came_about() -> None:
    sent = msgspec.json.decode(msgspec.json.encode(SPEC), type=WatcherSpec)
    merged = msgspec.convert({**msgspec.to_builtins(SPEC), "graceful_timeout": 30}, WatcherSpec)
    by_hand = replace(SPEC, env={"A": "1"}, nice=None)
    assert {plan.digest(SPEC)} == {plan.digest(spec) for spec in (sent, merged, by_hand)}


def test_lives_of_the_version_before_are_known_by_its_digest() -> None:
    """It took the limits for a part of the birth. The value is what it wrote for this spec."""
    assert plan.former_digest(SPEC) == "5c48cced9d59e2e7"
    assert plan.former_digest(replace(SPEC, limits=Limits())) != plan.former_digest(SPEC)


def test_the_version_before_named_each_limits_controller_and_memory_always() -> None:
    """The values are what it wrote."""
    plain = WatcherSpec(name="w", cmd=("sleep", "9"))
    assert plan.former_digest(plain) == "e34bb0ce79372832"
    swap = Limits(memory_swap_max=5, pids_max=9)
    assert plan.former_digest(replace(plain, limits=swap, watcher_limits=Limits(cpu_max=1.0))) == "738d52f7f98eaad6"


def test_of_a_group_of_options_only_those_that_are_given_count() -> None:
    plain = WatcherSpec(name="w", cmd=("x",))
    said = plan._said(replace(plain, watchdog=Watchdog(timeout=5.0)), plain)
    assert said == {"watchdog": {"timeout": 5.0}}
    said = plan._said(replace(plain, watchdog=Watchdog(timeout=5.0, signal=6)), plain)
    assert said == {"watchdog": {"timeout": 5.0}}
    said = plan._said(replace(plain, autoscale=ScalePolicy(max=3)), plain)
    assert said == {"autoscale": {"max": 3}}


def test_one_more_option_with_a_default_outdates_nobody() -> None:
    """What is left at its default is not in it: so neither is what another version's specs have besides."""
    said = plan._said(WatcherSpec(name="w", cmd=("x",)), WatcherSpec(name="", cmd=()))
    assert said == {"name": "w", "cmd": ("x",)}
