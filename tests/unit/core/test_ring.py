"""Who reads late learns what was lost; a listener gets no more than it has credit for, and nothing twice."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from circus_cg.core.record import Record, document
from circus_cg.core.ring import Ring, Start
from circus_cg.core.state import Exit
from circus_cg.core.subscription import BATCH, MOST_CREDIT, SCAN, Batch, Subscription


def record(number: int, watcher: str = "w") -> Record:
    return Record(number, 0, 0.0, watcher, 1, "ready", "", seq=number)


def filled(size: int, count: int, first: int = 100) -> Ring[Record]:
    ring: Ring[Record] = Ring(size, first)
    for number in range(first, first + count):
        assert ring.append(record(number)) == number
    return ring


@given(size=st.integers(1, 20), count=st.integers(0, 100))
def test_the_last_ones_are_kept_under_their_numbers(size: int, count: int) -> None:
    ring = filled(size, count)
    kept = list(ring.read(ring.oldest, 1000))
    assert [number for number, _ in kept] == list(range(100 + max(0, count - size), 100 + count))
    assert all(number == one.id for number, one in kept)


def test_what_was_lost_is_counted_and_what_another_ring_had_is_unknown() -> None:
    ring = filled(size=5, count=12)  # 107 to 111 are left
    assert ring.after(111) == Start(112, 0)
    assert ring.after(108) == Start(109, 0)
    assert ring.after(106) == Start(107, 0)
    assert ring.after(103) == Start(107, 3)
    assert ring.after(99) == Start(107, 7)
    assert ring.after(98) == Start(107, None)
    assert ring.after(50) == Start(107, None)
    assert ring.after(112) == Start(107, None)


def test_no_credit_no_events_and_a_grant_goes_on_where_it_stopped() -> None:
    ring = filled(100, 10)
    listener = Subscription(lambda _: True, 100, credit=3)
    batch = listener.take(ring)
    assert batch is not None and [one.id for one in batch.records] == [100, 101, 102]
    assert (batch.lost, batch.seq, listener.credit) == (0, 102, 0)
    assert listener.take(ring) is None
    listener.grant(100)
    batch = listener.take(ring)
    assert batch is not None and [one.id for one in batch.records] == list(range(103, 110))
    assert listener.take(ring) is None and listener.credit == 93


def test_the_last_credit_is_one() -> None:
    batch = Subscription(lambda _: True, 100, credit=1).take(filled(100, 3))
    assert batch is not None and [one.id for one in batch.records] == [100]


def test_a_turn_in_which_nothing_was_wanted_says_that_there_is_more() -> None:
    ring = filled(SCAN + 10, SCAN + 1)
    listener = Subscription(lambda _: False, 100, credit=1)
    assert listener.take(ring) == Batch([], 0, 100 + SCAN - 1, True)
    assert (listener.take(ring), listener.credit) == (None, 1)


def test_a_batch_costs_its_records_and_says_whether_there_are_more() -> None:
    ring = filled(100, 3)
    listener = Subscription(lambda one: one.id == 101, 100, credit=5)
    batch = listener.take(ring)
    assert batch == Batch([record(101)], 0, 102, False)
    assert listener.credit == 4
    assert Subscription(lambda _: True, 100, credit=2).take(ring) == Batch([record(100), record(101)], 0, 101, True)


def test_credit_has_a_ceiling() -> None:
    listener = Subscription(lambda _: True, 100, credit=1)
    listener.grant(10**9)
    assert listener.credit == MOST_CREDIT


def test_a_gap_is_told_once_with_the_next_events() -> None:
    ring = filled(5, 4)
    listener = Subscription(lambda _: True, 100, credit=2)
    listener.take(ring)
    for number in range(104, 120):
        ring.append(record(number))
    listener.grant(100)
    batch = listener.take(ring)
    assert batch is not None and batch.lost == 115 - 102
    assert [one.id for one in batch.records] == [115, 116, 117, 118, 119]
    ring.append(record(120))
    batch = listener.take(ring)
    assert batch is not None and batch.lost == 0


def test_a_gap_is_told_though_nothing_wanted_follows_it() -> None:
    ring = filled(5, 50)
    listener = Subscription(lambda one: one.watcher == "other", 100, credit=10)
    batch = listener.take(ring)
    assert batch is not None and (batch.records, batch.lost) == ([], 45)
    assert listener.take(ring) is None


def test_another_arbiters_place_is_a_gap_of_unknown_length() -> None:
    ring = filled(5, 3)
    listener = Subscription(lambda _: True, 7, credit=10)
    batch = listener.take(ring)
    assert batch is not None and batch.lost is None and len(batch.records) == 3


def test_one_turn_looks_at_no_more_than_it_may() -> None:
    ring = filled(3 * SCAN, 2 * SCAN + 10)
    listener = Subscription(lambda one: one.id == 100 + 2 * SCAN, 100, credit=10)
    first = listener.take(ring)
    assert first is not None and first.more and not first.records and listener.credit == 10
    turns = 1
    while (batch := listener.take(ring)) is not None and not batch.records:
        turns += 1
    assert batch is not None and turns == 2


@given(data=st.data())
def test_whatever_the_pace_every_event_is_given_once_or_counted_as_lost(data: st.DataObject) -> None:
    ring: Ring[Record] = Ring(data.draw(st.integers(1, 40)), 100)
    listener = Subscription(lambda _: True, 100, credit=0)
    given_out, lost, number = [], 0, 100
    for _ in range(data.draw(st.integers(1, 12))):
        for _ in range(data.draw(st.integers(0, 60))):
            ring.append(record(number))
            number += 1
        listener.grant(credit := data.draw(st.integers(0, 30)))
        before = listener.credit
        batch = listener.take(ring)
        if batch is not None:
            assert batch.lost is not None
            assert max(1, len(batch.records)) <= min(before, BATCH) and credit >= 0
            lost += batch.lost
            given_out += [one.id for one in batch.records]
    listener.grant(1000)
    while (batch := listener.take(ring)) is not None:
        assert batch.lost is not None
        lost += batch.lost
        given_out += [one.id for one in batch.records]
    assert given_out == sorted(set(given_out))
    assert len(given_out) + lost == number - 100


def test_an_exit_in_json_has_the_wall_clocks_time() -> None:
    end = Exit(None, 9, "oom", "memory_max 64, peak 60", 2.0, 50.0, 60)
    told = document(record(3)._replace(kind="exit", generation=4, pid=7, exit=end), wall_offset=1000.0)
    assert told["exit"] == {
        "code": None, "signal": 9, "reason": "oom", "detail": "memory_max 64, peak 60", "uptime": 2.0, "at": 1050.0,
        "peak": 60,
    }  # fmt: skip
    assert (told["seq"], told["generation"], told["pid"], told["cause"]) == (3, 4, 7, 0)
    whole = document(record(4)._replace(wid=0), 0.0)
    assert (whole["wid"], whole["generation"], whole["exit"]) == (None, None, None)
