"""The simulated plant loses no work, shows what a kernel would, and gives every law the same trace."""

import pytest

from bench.autoscale.ours import Ours
from bench.autoscale.plant import MAX, Plant, Score, run
from bench.autoscale.rivals import rivals
from bench.autoscale.score import OURS, dominance, scores, summary
from bench.autoscale.traces import BACKLOG, TICK, Trace, named, random


def flat(demand: float, seconds: float = 120.0, **host: float) -> Trace:
    ticks = round(seconds / TICK)
    return Trace("flat", (demand * TICK,) * ticks, (host.pop("others", 0.0),) * ticks, **host)


def play(trace: Trace, workers: int) -> Plant:
    plant = Plant(trace, workers)
    for number in range(len(trace.arrivals)):
        plant.tick(number)
    return plant


def test_what_arrives_is_served_or_waits() -> None:
    for workers in (1, 3, 8):
        plant = play(flat(2.5, 60.0), workers)
        assert plant.served + plant.queue == pytest.approx(2.5 * 60.0)
        used = sum(plant.cpu_seconds(worker) for worker in plant.workers)
        assert used == pytest.approx(plant.served)


def test_too_much_work_leaves_with_its_clients() -> None:
    assert play(flat(10.0), 1).queue == BACKLOG


def test_a_new_worker_burns_cpu_and_serves_nobody_until_it_is_warm() -> None:
    plant = Plant(flat(2.0))
    plant.resize(2)
    for number in range(round(3.0 / TICK)):
        plant.tick(number)
    new = plant.workers[-1]
    assert new.ready_at == 3.0
    assert plant.cpu_seconds(new) == pytest.approx(1.8)
    assert plant.served == pytest.approx(3.0), "by the old one"


def test_a_host_that_others_use_gives_no_more_than_it_has_and_shows_pressure() -> None:
    plant = play(flat(8.0, others=13.0), 8)
    assert plant.served == pytest.approx(3.0 * 120.0)
    assert plant.pressure > 50
    assert plant.idle_seconds == pytest.approx(0.0)


def test_a_quota_on_the_sum_throttles() -> None:
    plant = play(flat(8.0, quota=2.0), 8)
    assert plant.served == pytest.approx(2.0 * 120.0)
    assert plant.throttled == plant.periods == 1200


def test_an_idle_host_shows_neither() -> None:
    plant = play(flat(1.0), 4)
    assert plant.pressure == 0.0
    assert plant.idle_seconds == pytest.approx(15.0 * 120.0)


def test_the_same_seed_is_the_same_trace_and_another_is_not() -> None:
    assert random(3, 2, 60.0) == random(3, 2, 60.0)
    assert random(3, 1, 60.0)[0].arrivals != random(4, 1, 60.0)[0].arrivals
    assert [trace.name for trace in random(3, 2, 60.0)] == ["3.0", "3.1"]
    assert {trace.name for trace in named(1, 60.0)} >= {"steady", "step", "spikes", "sine", "saturated-host"}


@pytest.mark.parametrize("law", [Ours(), *rivals()], ids=lambda law: law.name)
def test_every_law_serves_a_load_that_one_worker_cannot_and_gives_workers_back(law: Ours) -> None:
    busy, calm = flat(4.0, 600.0), flat(0.02, 2400.0)
    trace = Trace("both", busy.arrivals + calm.arrivals, busy.others + calm.others)
    sizes = []
    look = law.look

    def looked(plant: Plant) -> int:
        sizes.append((plant.now, look(plant)))
        return sizes[-1][1]

    law.look = looked  # type: ignore[method-assign]
    score = run(trace, law)
    assert max(wanted for at, wanted in sizes if at < 600) >= 4
    assert sizes[-1][1] < max(wanted for _, wanted in sizes)
    assert score.peak <= MAX
    assert score.backlog < BACKLOG / 4


def test_nothing_that_is_better_in_anything_is_dominated() -> None:
    mine = Score(backlog=1.0, idle=2.0, actions=10, reversals=0, peak=4)
    assert dominance(mine, Score(2.0, 1.0, 5, 0, 4)) is None
    assert dominance(mine, mine) is None
    assert dominance(mine, Score(0.5, 1.6, 5, 0, 4)) == pytest.approx(0.25), "idle lacks least"
    assert dominance(mine, Score(0.5, 2.0, 10, 0, 4)) == 0.0, "only just"


def test_the_summary_counts_who_is_dominated() -> None:
    results = {trace.name: scores(trace) for trace in random(5, 2, 120.0)}
    result = summary(results)
    assert result["pareto_share"] == 1 - len(result["dominated"]) / 2
    assert set(result["means"]) == {OURS, "hpa", "hpa-fast", "uwsgi-busyness", "pm2-autoscale", "bang-bang"}
