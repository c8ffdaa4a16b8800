"""A decision told: whole, with every input by its name, and in each of its words."""

from typing import Any

import pytest

from circus_cg.core.account import SHARES, inputs, is_news, subject, text
from circus_cg.core.autoscale import Decision, Verdict
from circus_cg.core.load import Load, Sample
from circus_cg.core.room import Veto

GROW, SHRINK, HOLD = Verdict.GROW, Verdict.SHRINK, Verdict.HOLD
SAMPLE = Sample(
    at=100.0,
    workers=(),
    cpu_some=1.5,
    memory_some=2.5,
    memory_full=3.5,
    memory_current=4,
    memory_limit=5,
    host_memory=6,
    pids_current=7,
    pids_max=8,
    last_oom=9.5,
    backlog=10,
)
LOAD = Load(
    at=100.0,
    seconds=2.0,
    wanted=11,
    measured=12,
    warming=13,
    unread=14,
    lost=15,
    flapping=16,
    work=17.12345,
    useful=18.5,
    saturation=0.98765,
    worker_cpus=1.0,
    quota_workers=19.5,
    throttled=0.25,
    worker_throttled=True,
    overrun=True,
    host_idle=20.5,
    shares={1: 0.12345, 2: 0.75},
    sample=SAMPLE,
)


def test_every_input_is_told_by_its_name() -> None:
    decision = Decision(
        3, SHRINK, "bored", Veto.AT_MAX, 2, (4, 5), LOAD, peak=1.23456, shrink_window=60.0, dry_run=True
    )
    assert inputs(decision) == {
        "wanted": 3,
        "proposed": 2,
        "veto": "at-max",
        "leaving": [4, 5],
        "peak": 1.235,
        "shrink_window": 60.0,
        "dry_run": True,
        "count": 11,
        "seconds": 2.0,
        "saturation": 0.988,
        "work": 17.123,
        "useful": 18.5,
        "measured": 12,
        "warming": 13,
        "unread": 14,
        "lost": 15,
        "flapping": 16,
        "overrun": True,
        "throttled": 0.25,
        "worker_throttled": True,
        "quota_workers": 19.5,
        "host_idle": 20.5,
        "shares": {"1": 0.123, "2": 0.75},
        "least_busy": 0.123,
        "busiest": 0.75,
        "cpu_some": 1.5,
        "memory_some": 2.5,
        "memory_full": 3.5,
        "memory_current": 4,
        "memory_limit": 5,
        "host_memory": 6,
        "pids_current": 7,
        "pids_max": 8,
        "last_oom": 9.5,
        "backlog": 10,
    }


def test_what_nobody_could_tell_or_what_is_not_is_left_out() -> None:
    assert inputs(Decision(None, HOLD, "nothing")) == {}
    quiet = Load(100.0, 2.0, 1, 0, 0, 0, 0, 0, 0.0, 0.0, None, 1.0, None, None, False, False, None, {}, Sample(1.0, ()))
    assert inputs(Decision(1, HOLD, "nothing", load=quiet)) == {
        "wanted": 1, "count": 1, "seconds": 2.0, "measured": 0, "work": 0.0, "useful": 0.0,
    }  # fmt: skip


@pytest.mark.parametrize(("workers", "told"), [(SHARES, True), (SHARES + 1, False)])
def test_of_very_many_workers_only_the_extremes_are_told(workers: int, told: bool) -> None:
    shares = {wid: wid / 100 for wid in range(1, workers + 1)}
    load = Load(100.0, 2.0, 1, 0, 0, 0, 0, 0, 0.0, 0.0, None, 1.0, None, None, False, False, None, shares, SAMPLE)
    found = inputs(Decision(1, HOLD, "", load=load))
    assert ("shares" in found, found["least_busy"], found["busiest"]) == (told, 0.01, workers / 100)


@pytest.mark.parametrize(
    ("decision", "line"),
    [
        (Decision(13, GROW, "busy", proposed=13, load=LOAD), "add 2 to 11 workers: busy"),
        (Decision(8, SHRINK, "bored", proposed=8, load=LOAD), "remove 3 of 11 workers: bored"),
        (Decision(11, GROW, "busy", proposed=13, load=LOAD, dry_run=True), "would add 2 to 11 workers: busy"),
        (Decision(11, SHRINK, "bored", proposed=8, load=LOAD, dry_run=True), "would remove 3 of 11 workers: bored"),
        (Decision(11, HOLD, "busy", Veto.AT_MAX, 11, load=LOAD), "busy [at-max]"),
        (Decision(11, HOLD, "busy", None, 11, load=LOAD), "busy"),
        (Decision(None, HOLD, "no sample", Veto.NO_SAMPLE, None), "no sample [no-sample]"),
        (Decision(None, HOLD, "no sample", Veto.NO_SAMPLE, 3), "no sample [no-sample]"),
        (Decision(3, HOLD, "too late", Veto.STALLED, None), "too late [stalled]"),
        (Decision(3, HOLD, "too late", Veto.STALLED, 3), "too late [stalled]"),
    ],
)
def test_a_decision_in_one_line(decision: Decision, line: str) -> None:
    assert text(decision) == line


@pytest.mark.parametrize(
    ("verdict", "more", "named"),
    [
        (GROW, {"proposed": 4}, "grow 4"),
        (SHRINK, {"proposed": 2}, "shrink 2"),
        (HOLD, {"veto": Veto.AT_MAX}, "hold at-max"),
    ],
)
def test_what_makes_two_decisions_the_same_news(verdict: Verdict, more: dict[str, Any], named: str) -> None:
    assert subject(Decision(3, verdict, "", **more)) == named


@pytest.mark.parametrize(
    ("decision", "told", "news"),
    [
        (Decision(4, GROW, "", proposed=4), {"grow 4": 99.0}, True),  # what is done is told each time
        (Decision(3, GROW, "", proposed=4, dry_run=True), {"grow 4": 40.1}, False),
        (Decision(3, GROW, "", proposed=4, dry_run=True), {"grow 4": 40.0}, True),
        (Decision(3, GROW, "", proposed=4, dry_run=True), {"grow 5": 99.0}, True),
        (Decision(3, HOLD, "", Veto.AT_MAX, 3), {}, True),
        (Decision(3, HOLD, "", Veto.AT_MAX, 3), {"hold at-max": 40.1}, False),
        (Decision(3, HOLD, "", Veto.AT_MAX, 3), {"hold at-max": 40.0}, True),
        (Decision(3, HOLD, "", Veto.DEAD_BAND, 3), {}, False),
        (Decision(3, HOLD, "", None, 3), {}, False),
    ],
)
def test_what_is_news(decision: Decision, told: dict[str, float], news: bool) -> None:
    assert is_news(decision, told, 100.0) is news
