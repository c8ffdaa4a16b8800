"""What a changed option costs: nothing, a count, other groups, or new lives for the workers."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from circus_cg.core.plan import LIVE, Plan, diff
from circus_cg.spec import Backoff, Flapping, Limits, Rlimit, ScalePolicy, WatcherSpec

OLD = WatcherSpec(name="w", cmd=("serve",), env={"A": "1"}, limits=Limits(memory_max=64), numprocesses=2)


def plan(**changes: Any) -> Plan:
    return diff(OLD, replace(OLD, **changes))


def test_the_same_spec_needs_nothing() -> None:
    assert diff(OLD, OLD) == Plan(changed=(), regroup=False, recount=False, renew=False)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"graceful_timeout": 1.0}, "graceful_timeout"),
        ({"stop_signal": 2}, "stop_signal"),
        ({"min_uptime": 9.0}, "min_uptime"),
        ({"max_retry": -1}, "max_retry"),
        ({"autostart": False}, "autostart"),
        ({"singleton": True}, "singleton"),
        ({"backoff": Backoff(initial=9.0)}, "backoff.initial"),
        ({"flapping": Flapping(attempts=0)}, "flapping.attempts"),
    ],
)
def test_what_is_read_afresh_leaves_the_workers_alone(changes: dict[str, Any], named: str) -> None:
    assert plan(**changes) == Plan(changed=(named,), regroup=False, recount=False, renew=False)


def test_all_that_changed_is_named() -> None:
    found = plan(
        backoff=Backoff(initial=9.0),
        flapping=Flapping(attempts=0),
        env={"B": "1"},
        cmd=("x",),
        autoscale=ScalePolicy(max=3),
    ).changed
    assert sorted(found) == ["autoscale", "backoff.initial", "cmd", "env.A", "env.B", "flapping.attempts"]
    scaled = replace(OLD, autoscale=ScalePolicy(max=3))
    assert diff(scaled, OLD).changed == ("autoscale",)
    assert diff(scaled, replace(OLD, autoscale=ScalePolicy(max=4))).changed == ("autoscale.max",)


def test_a_count_only_counts() -> None:
    assert plan(numprocesses=5) == Plan(changed=("numprocesses",), regroup=False, recount=True, renew=False)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"cmd": ("serve", "-v")}, "cmd"),
        ({"env": {"A": "2"}}, "env.A"),
        ({"env": {"A": "1", "B": "2"}}, "env.B"),
        ({"env": {}}, "env.A"),
        ({"uid": "www"}, "uid"),
        ({"rlimits": {"nofile": Rlimit(soft=1, hard=1)}}, "rlimits.nofile"),
        ({"stdout": "null"}, "stdout"),
        ({"umask": 0o22}, "umask"),
        ({"env_file": ("/etc/x.env",)}, "env_file"),
        ({"no_new_privs": True}, "no_new_privs"),
        ({"bounding_capabilities": ()}, "bounding_capabilities"),
        ({"cpu_affinity": "0"}, "cpu_affinity"),
    ],
)
def test_what_a_worker_is_born_with_needs_a_new_life(changes: dict[str, Any], named: str) -> None:
    assert plan(**changes) == Plan(changed=(named,), regroup=False, recount=False, renew=True)


def test_a_limit_of_each_worker_binds_those_that_live() -> None:
    assert plan(limits=Limits(memory_max=32)) == Plan(("limits.memory_max",), regroup=True, recount=False, renew=False)


def test_a_limit_of_the_sum_binds_the_workers_that_live() -> None:
    decided = plan(watcher_limits=Limits(memory_max=128))
    assert decided == Plan(("watcher_limits.memory_max",), regroup=True, recount=False, renew=False)


def test_a_controller_that_no_worker_is_in_yet_needs_no_new_lives_either() -> None:
    assert plan(limits=Limits(pids_max=10)) == Plan(("limits.memory_max", "limits.pids_max"), True, False, False)
    assert not plan(watcher_limits=Limits(cpu_max=1.0)).renew


def test_every_live_option_exists() -> None:
    assert set(WatcherSpec.__struct_fields__) >= LIVE
