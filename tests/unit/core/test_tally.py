"""Exits, restarts and decisions, counted by what they were for."""

from __future__ import annotations

from typing import Any

from circus_cg.core.record import Record
from circus_cg.core.state import Exit
from circus_cg.core.tally import Tally


def told(*events: tuple[str, str]) -> Tally:
    """(kind, reason of the exit or verdict) of worker 1 of `web`."""
    tally = Tally()
    for number, (kind, word) in enumerate(events):
        more: dict[str, Any] = {}
        if kind == "exit":
            more["exit"] = Exit(0, None, word, "", 1.0, 1.0)
        if kind == "decision":
            more["verdict"] = word
        tally.add(Record(number, 0, 0.0, "web", 1, kind, "", **more))
    return tally


def test_a_restart_is_counted_by_what_ended_the_life_before() -> None:
    tally = told(("ready", ""), ("exit", "oom"), ("backoff", ""), ("ready", ""), ("exit", "exited"), ("ready", ""))
    assert tally.exits == {("web", "oom"): 1, ("web", "exited"): 1}
    assert tally.restarts == {("web", "oom"): 1, ("web", "exited"): 1}


def test_a_life_that_was_asked_to_end_is_followed_by_one_that_was_asked_for() -> None:
    assert told(("stopping", ""), ("exit", "signal"), ("ready", "")).restarts == {("web", "asked"): 1}


def test_a_reason_of_ours_goes_before_the_asking() -> None:
    assert told(("stopping", ""), ("exit", "memory"), ("ready", "")).restarts == {("web", "memory"): 1}


def test_what_is_not_followed_by_a_life_is_no_restart() -> None:
    tally = told(
        ("exit", "exited"), ("failed", ""), ("ready", ""), ("stopping", ""), ("exit", "signal"), ("stopped", "")
    )
    assert tally.restarts == {} and sum(tally.exits.values()) == 2


def test_decisions_are_counted_by_verdict_and_a_removed_watcher_is_forgotten() -> None:
    events = [("decision", "grow"), ("decision", "hold"), ("decision", "grow"), ("exit", "oom")]
    assert told(*events).decisions == {("web", "grow"): 2, ("web", "hold"): 1}
    gone = told(*events, ("removed", ""))
    assert not gone.decisions and not gone.exits
