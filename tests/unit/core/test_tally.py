"""Exits, restarts and decisions counted from the records that tell of them."""

from circus_cg.core.record import Record
from circus_cg.core.state import Exit
from circus_cg.core.tally import Tally


def tallied(*told: tuple[str, str] | str, watcher: str = "w", wid: int = 1, tally: Tally | None = None) -> Tally:
    """Records of these kinds; an exit with its reason, a decision with its verdict."""
    tally = tally or Tally()
    for number, one in enumerate(told, 1):
        kind, more = (one, "") if isinstance(one, str) else one
        end = Exit(1, None, more, "", 0.5, 9.0) if kind == "exit" and more else None
        verdict = more if kind == "decision" else ""
        tally.add(Record(number, 0, 9.0, watcher, wid, kind, "", exit=end, verdict=verdict))
    return tally


def test_a_life_after_an_end_is_a_restart_for_its_reason() -> None:
    tally = tallied("ready", ("exit", "oom"), "backoff", "ready", ("exit", "oom"), "ready", ("exit", "exited"))
    assert tally.exits == {("w", "oom"): 2, ("w", "exited"): 1}
    assert tally.restarts == {("w", "oom"): 2}


def test_of_several_ends_before_the_next_life_the_last_one_counts() -> None:
    assert tallied(("exit", "oom"), ("exit", "exec"), "ready").restarts == {("w", "exec"): 1}


def test_one_that_was_asked_to_end_is_restarted_because_it_was_asked() -> None:
    for reason in ("exited", "signal", "killed"):
        assert tallied("stopping", ("exit", reason), "ready").restarts == {("w", "asked"): 1}
    assert tallied("stopping", ("exit", "oom"), "ready").restarts == {("w", "oom"): 1}
    assert tallied("stopping", ("exit", "exited"), "ready").exits == {("w", "exited"): 1}


def test_what_was_stopped_or_given_up_is_started_and_not_restarted() -> None:
    for end in ("stopped", "failed"):
        assert not tallied(("exit", "exited"), end, "ready").restarts
    assert not tallied("stopped", "failed", "ready").restarts


def test_an_end_of_which_nothing_is_known_is_counted_as_such() -> None:
    tally = tallied("exit", "ready")
    assert (tally.exits, tally.restarts) == ({("w", "unknown"): 1}, {("w", "unknown"): 1})


def test_each_slot_and_each_watcher_is_counted_for_itself() -> None:
    tally = tallied(("exit", "oom"))
    tallied("ready", wid=2, tally=tally)
    tallied("ready", watcher="v", tally=tally)
    assert not tally.restarts
    tallied("ready", tally=tally)
    assert tally.restarts == {("w", "oom"): 1}


def test_decisions_are_counted_by_their_verdict() -> None:
    tally = tallied(("decision", "grow"), ("decision", "grow"), ("decision", "hold"))
    assert tally.decisions == {("w", "grow"): 2, ("w", "hold"): 1}


def test_a_watcher_that_was_removed_leaves_nothing_and_takes_nothing_of_another() -> None:
    tally = tallied(("exit", "oom"), "ready", ("decision", "grow"))
    tallied(("exit", "oom"), "ready", ("decision", "grow"), watcher="v", tally=tally)
    tallied("removed", tally=tally)
    assert tally.exits == tally.restarts == {("v", "oom"): 1}
    assert tally.decisions == {("v", "grow"): 1}
