"""The machine as a whole: explored, and compared with the picture in the documentation."""

import pytest

from circus_cg.core.slot import Phase
from tests.unit.core.diagram import EVENTS, PAGE, Reached, drawn, explore, mermaid


@pytest.fixture(scope="module")
def reached() -> Reached:
    return explore()


def test_every_event_meets_every_phase(reached: Reached) -> None:
    assert set(reached) == {(phase, event) for phase in Phase for event in EVENTS}


def test_the_documentation_shows_the_machine_as_it_is(reached: Reached) -> None:
    assert drawn(PAGE.read_text()) == mermaid(reached), "run: python -m tests.unit.core.diagram"


def test_no_phase_is_a_trap(reached: Reached) -> None:
    ways: dict[Phase, set[Phase]] = {phase: {phase} for phase in Phase}
    for _ in Phase:
        for (phase, _event), followers in reached.items():
            ways[phase] |= {end for follower in followers for end in ways[follower]}
    assert all(ends == set(Phase) for ends in ways.values())
