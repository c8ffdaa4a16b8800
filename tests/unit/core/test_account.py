"""What is told of a decision: the reason in one line, every input, and not the same thing again and again."""

from __future__ import annotations

import json

import pytest
from msgspec.structs import replace

from circus_cg.core import account, autoscale
from circus_cg.core.autoscale import Decision, State, Verdict
from circus_cg.core.load import Sample, WorkerSample
from circus_cg.core.room import Veto
from circus_cg.core.state import Phase
from circus_cg.spec import ScalePolicy

POLICY = ScalePolicy(max=8, grow_window=4.0, warmup=0.0)


def sample(at: float, workers: int = 2, busy: float = 1.0, idle: float = 4.0) -> Sample:
    """Workers that have been as busy since the beginning, on a host with so many idle CPUs."""
    those = (
        WorkerSample(wid=wid, generation=1, phase=Phase.READY, ready_at=0.0, cpu_seconds=busy * at)
        for wid in range(1, workers + 1)
    )
    return Sample(at=at, workers=tuple(those), host_idle_seconds=idle * at, memory_current=1 << 20, host_memory=1 << 30)


def decided(policy: ScalePolicy = POLICY, **of: float) -> Decision:
    state, decision = State(), None
    for at in (2.0, 4.0, 6.0):
        state, decision = autoscale.decide(policy, state, [sample(at, **of)], at)  # type: ignore[arg-type]
    assert decision is not None
    return decision


def test_growth_is_told_in_one_line_with_every_input() -> None:
    grown = decided()
    assert account.text(grown) == "add 1 to 2 workers: 2 ready workers are 100 % busy"
    found = account.inputs(grown)
    assert (found["count"], found["wanted"], found["saturation"], found["host_idle"]) == (2, 3, 1.0, 4.0)
    assert found["shares"] == {"1": 1.0, "2": 1.0} and "veto" not in found and "pids_max" not in found
    assert json.loads(json.dumps(found)) == found


def test_what_a_dry_run_would_do_is_told_as_that() -> None:
    assert account.text(decided(replace(POLICY, dry_run=True))).startswith("would add 1 to 2 workers: ")


def test_a_veto_is_told_by_its_name() -> None:
    held = decided(idle=0.0)
    assert account.inputs(held)["veto"] == "starved" and account.text(held).endswith("no more CPU to give [starved]")


def test_the_same_obstacle_is_news_once_a_minute_and_a_change_of_the_count_always() -> None:
    held, grown = decided(idle=0.0), decided()
    told: dict[str, float] = {}
    assert account.is_news(held, told, 10.0)
    told[account.subject(held)] = 10.0
    assert not account.is_news(held, told, 69.0)
    assert account.is_news(held, told, 70.0)
    told[account.subject(grown)] = 10.0
    assert account.is_news(grown, told, 10.0)


def test_what_a_dry_run_would_do_is_no_news_each_time() -> None:
    would = decided(replace(POLICY, dry_run=True))
    assert account.is_news(would, {}, 10.0)
    assert not account.is_news(would, {account.subject(would): 10.0}, 12.0)


@pytest.mark.parametrize("veto", sorted(account.QUIET))
def test_that_all_is_well_or_unknown_is_no_event(veto: Veto) -> None:
    assert not account.is_news(Decision(2, Verdict.HOLD, "", veto), {}, 10.0)


def test_of_very_many_workers_only_the_extremes_are_told() -> None:
    found = account.inputs(decided(workers=account.SHARES + 1))
    assert "shares" not in found and found["least_busy"] == 1.0
