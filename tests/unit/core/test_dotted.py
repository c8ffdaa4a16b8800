"""Options by their dotted names: read, put, and taken from those that somebody gave."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from circus_cg.core import plan
from circus_cg.core.dotted import at, concerns, put, without
from circus_cg.spec import Limits, Rlimit, ScalePolicy, WatcherSpec

MB = 1 << 20
WEB = WatcherSpec(name="web", cmd=("serve",), limits=Limits(memory_max=64 * MB, pids_max=9))


def test_a_value_is_read_and_put_as_json_has_it() -> None:
    assert at(WEB, "limits.memory_max") == 64 * MB and at(WEB, "graceful_timeout") == 30.0
    assert at(WEB, "env.NONE") is None
    assert put(WEB, {"limits.memory_max": None}).limits == Limits(pids_max=9)
    changed = replace(WEB, env={"A": "1", "B.C": "2"}, rlimits={"nofile": Rlimit(soft=1, hard=2)}, uid="www")
    keys = plan.diff(WEB, changed).changed
    assert put(changed, {key: at(WEB, key) for key in keys}) == WEB
    assert put(WEB, {key: at(changed, key) for key in keys}) == changed


def test_a_part_that_is_put_later_goes_over_its_whole() -> None:
    assert put(WEB, {"autoscale": {"max": 8}, "autoscale.min": 2}).autoscale == ScalePolicy(max=8, min=2)
    assert put(WEB, {"limits.pids_max": 1, "limits": {"cpu_max": 1.5}}).limits == Limits(cpu_max=1.5)
    assert put(WEB, {"env": {"A": "1", "B": "2"}, "env.A": None}).env == {"B": "2"}


@pytest.mark.parametrize(
    "options",
    [{"autoscale.max": 8}, {"nice.x": 1}, {"limits.nothing": 1}, {"nothing": 1}, {"nothing.x": 1}, {"nice": "very"}],
)
def test_what_does_not_fit_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(msgspec.ValidationError):
        put(WEB, options)


def test_a_key_concerns_itself_and_its_parts() -> None:
    assert concerns(["env", "limits.pids_max"], "env.A") and concerns(["env"], "env")
    assert not concerns(["env.A"], "env.A.B"), "another variable, whose name has a dot"
    assert not concerns(["env", "limits.pids_max"], "env_file") and not concerns(["limits.pids_max"], "limits")


def test_what_is_taken_away_is_gone_with_its_parts_and_a_whole_that_loses_one_keeps_the_others() -> None:
    given = {"nice": 1, "env.A": "1", "env.B": "2", "limits.pids_max": 9}
    assert without(given, ["env", "limits.pids_max", "uid"], WEB) == {"nice": 1}
    assert without(given, ["env.A", "limits"], WEB) == {"nice": 1, "env.B": "2"}
    left = without({"limits": {"memory_max": 5, "pids_max": 9}}, ["limits.memory_max"], WEB)
    assert put(replace(WEB, limits=Limits(memory_max=7, pids_max=1, cpu_max=2.0)), left).limits == Limits(
        memory_max=7, pids_max=9
    )
    spec = replace(WEB, env={"A": "1", "B": "2"})
    assert without({"env": {"A": "1", "B": "2"}}, ["env.A"], spec) == {"env.B": "2"}
    assert without({"autoscale": None}, ["autoscale.max"], WEB) == {"autoscale": None}, "it has no parts"
