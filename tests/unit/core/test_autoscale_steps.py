"""What the autoscaling law remembers of a step that it took, and whom it counts."""

from msgspec.structs import replace

from circus_cg.core.autoscale import Busy, Verdict, decide
from circus_cg.core.load import WorkerSample
from circus_cg.core.room import Veto
from circus_cg.core.state import Phase
from circus_cg.spec import ScalePolicy
from tests.unit.core.test_autoscale_numbers import LONG_AGO, NOW, POLICY, decided, sample, saturated


def test_growth_that_there_was_not_room_for_is_growth_all_the_same() -> None:
    runs = (saturated(NOW - 6, 8), saturated(NOW - 4, 8))
    state = replace(LONG_AGO, busy=runs, shrunk=NOW - 10)
    state, decision = decided(1.0, 4, policy=ScalePolicy(max=20), state=state, memory_current=400, host_memory=150)
    assert (decision.wanted, state.penalty, state.too_few) == (5, 2, True)


def test_an_interval_at_the_windows_very_beginning_is_outside() -> None:
    runs = (Busy(NOW - 6, 3, False), saturated(NOW - 4))
    assert decided(1.0, state=replace(LONG_AGO, busy=runs))[1].verdict is Verdict.GROW
    runs = (Busy(NOW - 5.9, 3, False), saturated(NOW - 4))
    assert decided(1.0, state=replace(LONG_AGO, busy=runs))[1].veto is Veto.GROW_WINDOW


def test_where_nobody_is_measured_that_is_said() -> None:
    starting = tuple(WorkerSample(wid, 1, Phase.STARTING) for wid in (1, 2))
    before, now = (replace(sample(at, 0.0, 0), workers=starting) for at in (NOW - 2, NOW))
    _, decision = decide(POLICY, replace(LONG_AGO, last=before), (now,), NOW)
    assert (decision.wanted, decision.verdict, decision.veto) == (2, Verdict.HOLD, Veto.UNMEASURED)
    assert decision.reason == "no worker is ready and past its warm-up"


def test_slots_without_a_process_make_the_others_no_less_busy() -> None:
    lost = tuple(WorkerSample(wid, 1, Phase.FAILED) for wid in (8, 9))
    before, now = sample(NOW - 2, 0.0, 4), sample(NOW, 1.0, 4)
    before, now = (replace(one, workers=(*one.workers, *lost)) for one in (before, now))
    _, decision = decide(POLICY, replace(LONG_AGO, last=before), (now,), NOW)
    assert (decision.wanted, decision.veto) == (6, Veto.DEAD_BAND)


def test_one_fewer_for_want_of_memory_says_nothing_of_too_few() -> None:
    state = replace(LONG_AGO, memory_stalled=NOW - 20, too_few=True)
    state, decision = decided(0.95, 4, state=state, memory_full=50.0)
    assert (decision.wanted, state.too_few) == (3, False)
