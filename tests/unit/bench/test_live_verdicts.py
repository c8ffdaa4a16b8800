"""The live bench's comparison: what counts as the same, and that a law which does nothing does not pass."""

import pytest
from msgspec.structs import replace

from bench.live import simulated as plant
from bench.live.daemon import percent
from bench.live.scenarios import MOST, SCENARIOS, Scenario, Stage
from bench.live.simulated import simulated
from bench.live.verdicts import Outcome, Thought, Verdict, folded, lacks
from circus_cg.core import autoscale
from circus_cg.core.room import Veto

CPUS = 2
GROW, SHRINK = Verdict("grow"), Verdict("shrink")
AT_MAX = Verdict("hold", "at-max")
BY_NAME = {scenario.name: scenario for scenario in SCENARIOS}


def test_a_repetition_is_no_difference_and_an_order_is() -> None:
    def sequence(*told: Verdict) -> list[str]:
        return folded([Outcome("busy", told, (Thought(4, AT_MAX),))])

    assert sequence(GROW, GROW, AT_MAX, AT_MAX) == sequence(GROW, AT_MAX)
    assert sequence(GROW, AT_MAX) != sequence(AT_MAX, GROW)
    assert sequence(GROW, SHRINK, GROW) != sequence(GROW, SHRINK)
    assert sequence(GROW, AT_MAX) == ["busy: grow", "busy: hold at-max", "busy: at the end 4 workers, hold at-max"]


def test_another_veto_number_or_stage_is_a_difference() -> None:
    def sequence(stage: str, veto: str, workers: int) -> list[str]:
        return folded([Outcome(stage, (Verdict("hold", veto),), (Thought(workers, AT_MAX),))])

    plain = sequence("busy", "starved", 4)
    assert plain not in (
        sequence("busy", "quota-bound", 4),
        sequence("busy", "starved", 3),
        sequence("calm", "starved", 4),
    )


def test_what_kept_a_growth_from_more_is_no_difference() -> None:
    assert str(Verdict("grow", "starved")) == str(GROW)


def test_one_odd_look_does_not_change_what_a_stage_came_to_and_no_look_is_told() -> None:
    usual, odd = Thought(2, AT_MAX), Thought(2, Verdict("hold", "dead-band"))
    assert Outcome("busy", (), (usual, odd, usual, usual)).at_end == usual
    assert folded([Outcome("busy", (), ())]) == ["busy: at the end None"]


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_the_law_on_the_plant_shows_what_each_scenario_is_for(scenario: Scenario) -> None:
    outcomes = simulated(scenario, CPUS)
    assert lacks(scenario, outcomes) == []
    assert [outcome.stage for outcome in outcomes] == [stage.name for stage in scenario.stages]


def test_a_larger_host_makes_no_difference() -> None:
    for scenario in SCENARIOS:
        assert folded(simulated(scenario, 2)) == folded(simulated(scenario, 64))


def test_so_many_workers_are_of_use_as_can_do_the_demand_below_the_target() -> None:
    step, quota, starved = BY_NAME["step"], BY_NAME["quota"], BY_NAME["starved"]
    assert [step.useful(Stage("", 1, demand)) for demand in (0.0, 0.5, 0.7, 1.9, 100.0)] == [1, 1, 2, 4, MOST]
    assert quota.useful(quota.stages[0]) == 2
    assert [starved.useful(stage) for stage in starved.stages] == [1, MOST]


def test_a_share_of_a_worker_is_a_percentage_of_a_cpu_until_it_is_all_that_one_may_use() -> None:
    assert [percent(share) for share in (0.0, 0.6, 0.99, 1.0, 8.0)] == [0, 3, 5, 100, 100]


def test_a_law_that_does_nothing_is_not_what_any_scenario_with_an_obstacle_is_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Live and simulated would be the same: both do nothing."""
    decide = autoscale.decide

    def idle(policy, state, samples, now):  # type: ignore[no-untyped-def]
        state, decision = decide(policy, state, samples, now)
        there = len(state.last.workers)
        return state, replace(
            decision, wanted=there, verdict=autoscale.Verdict.HOLD, veto=Veto.DEAD_BAND, proposed=there
        )

    monkeypatch.setattr(plant, "decide", idle)
    for scenario in SCENARIOS:
        found = lacks(scenario, simulated(scenario, CPUS))
        assert bool(found) == any(stage.obstacle for stage in scenario.stages), scenario.name


def test_a_law_that_names_another_obstacle_is_not_what_the_scenario_is_for(monkeypatch: pytest.MonkeyPatch) -> None:
    decide = autoscale.decide

    def wrong(policy, state, samples, now):  # type: ignore[no-untyped-def]
        state, decision = decide(policy, state, samples, now)
        return state, replace(decision, veto=Veto.STARVED) if decision.veto is Veto.QUOTA_BOUND else decision

    monkeypatch.setattr(plant, "decide", wrong)
    assert lacks(BY_NAME["quota"], simulated(BY_NAME["quota"], CPUS)) == [
        "busy: quota-bound stands in the way of more, and nobody said so"
    ]
