"""Decisions about a set of slots."""

from collections import Counter

import pytest

from circus_cg.core.events import Restart, Start, Stop
from circus_cg.core.slot import Phase, Slot
from circus_cg.core.watcher import begins, can_freeze, paced, reconcile, restart, start, status


def up(wid: int, phase: Phase = Phase.READY, started: float = 1.0) -> Slot:
    return Slot(wid=wid, wanted=True, phase=phase, started=started)


def slots(*those: Slot) -> dict[int, Slot]:
    return {slot.wid: slot for slot in those}


def test_a_new_watcher_starts_the_wids_from_one() -> None:
    assert reconcile(True, 3, {}) == ((1, Start), (2, Start), (3, Start))


def test_nothing_to_do_is_nothing_done() -> None:
    assert reconcile(True, 2, slots(up(1), up(2, Phase.BACKOFF))) == ()
    assert reconcile(False, 2, slots(Slot(wid=1), Slot(wid=2, phase=Phase.STOPPING))) == ()


def test_a_stop_stops_whatever_is_wanted() -> None:
    there = slots(up(1), up(2, Phase.BACKOFF), up(3, Phase.FAILED), Slot(wid=4), up(5, Phase.STOPPING))
    assert reconcile(False, 4, there) == ((1, Stop), (2, Stop), (3, Stop), (5, Stop))


def test_growth_takes_the_lowest_wids_that_are_free() -> None:
    assert reconcile(True, 4, slots(Slot(wid=1), up(2), up(4))) == ((1, Start), (3, Start))


def test_growth_waits_for_a_worker_on_its_way_out_rather_than_double_it() -> None:
    assert reconcile(True, 2, slots(up(1), Slot(wid=2, phase=Phase.STOPPING))) == ((2, Start),)


def test_shrinking_stops_first_what_is_not_ready_then_the_youngest() -> None:
    there = slots(up(1, started=9.0), up(2, started=5.0), up(3, Phase.BACKOFF, 1.0), up(4, started=7.0))
    assert reconcile(True, 3, there) == ((3, Stop),)
    assert reconcile(True, 2, there) == ((1, Stop), (3, Stop))
    assert reconcile(True, 1, there) == ((1, Stop), (3, Stop), (4, Stop))


def test_of_workers_equally_young_the_highest_wid_goes() -> None:
    assert reconcile(True, 2, slots(up(1), up(2), up(3))) == ((3, Stop),)


def test_a_failed_slot_keeps_its_place_until_the_operator_starts_it() -> None:
    there = slots(up(1), up(2, Phase.FAILED))
    assert reconcile(True, 2, there) == ()
    assert reconcile(True, 3, there) == ((3, Start),)
    assert start(2, there) == ((2, Start),)
    assert start(1, there) == ((2, Stop),)


def test_the_operators_start_does_not_wait_for_a_backoff() -> None:
    assert start(3, slots(up(1, Phase.BACKOFF), up(2))) == ((3, Start), (1, Start))


def test_a_restart_concerns_every_wanted_slot_once() -> None:
    there = slots(up(1), up(2, Phase.FAILED), up(3, Phase.BACKOFF), Slot(wid=4, phase=Phase.STOPPING))
    assert restart(3, there) == ((1, Restart), (2, Restart), (3, Restart))
    assert restart(2, there) == ((2, Stop), (1, Restart), (3, Restart))
    assert restart(4, there) == ((4, Start), (1, Restart), (2, Restart), (3, Restart))


@pytest.mark.parametrize(
    ("wanted", "phases", "word"),
    [
        (True, [], "active"),  # of none at all
        (True, [Phase.READY, Phase.READY], "active"),
        (True, [Phase.READY, Phase.STARTING], "starting"),
        (True, [Phase.READY, Phase.BACKOFF, Phase.FAILED, Phase.STOPPING], "active"),
        (True, [Phase.BACKOFF, Phase.FAILED], "starting"),
        (True, [Phase.STOPPING, Phase.FAILED], "stopping"),
        (True, [Phase.FAILED, Phase.IDLE], "stopped"),
        (True, [Phase.DONE, Phase.IDLE], "stopped"),
        (True, [Phase.DONE, Phase.BACKOFF], "starting"),
        (False, [], "stopped"),
        (False, [Phase.IDLE, Phase.FAILED], "stopped"),
        (False, [Phase.IDLE, Phase.STOPPING], "stopping"),
        (False, [Phase.READY], "stopping"),
    ],
)
def test_the_status_in_circuss_words(wanted: bool, phases: list[Phase], word: str) -> None:
    assert status(wanted, Counter(phases)) == word


def test_workers_that_are_more_than_there_were_begin_one_after_the_other() -> None:
    there = slots(up(1), up(2, Phase.BACKOFF))
    decided = ((2, Start), (3, Start), (4, Start), (1, Stop))
    assert paced(decided, there, 1) == (((2, Start), (3, Start), (1, Stop)), True)
    assert paced(decided, there, 0) == (((2, Start), (1, Stop)), True)
    assert paced(decided, there, 2) == (decided, False)


def test_only_a_life_or_a_delay_that_is_not_on_its_way_out_can_stand_still() -> None:
    can = {phase for phase in Phase if can_freeze(up(1, phase))}
    assert can == {Phase.STARTING, Phase.READY, Phase.BACKOFF}


def test_somebody_begins_where_one_is_to_start_or_to_start_anew() -> None:
    assert begins(((1, Stop), (2, Start))) and begins(((1, Restart),))
    assert not begins(()) and not begins(((1, Stop), (2, Stop)))
