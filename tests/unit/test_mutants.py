"""What changes the core to see whether a test notices: tests/mutation."""

from collections.abc import Iterator

import pytest

from circus_cg.core import backoff
from tests.mutation.imports import uses
from tests.mutation.judge import Verdict, percent
from tests.mutation.listed import Listed
from tests.mutation.mutants import CORE, ROOT, Change, Mutant, modules, mutants_of

EXHAUSTED = Change("backoff", "is_exhausted", "return 0 <= limit < used", "return 0 <= limit <= used")


@pytest.fixture
def exhausted() -> Iterator[Mutant]:
    """One that is taken back."""
    code = backoff.is_exhausted.__code__
    yield next(mutant for mutant in mutants_of("backoff") if mutant.change() == EXHAUSTED)
    backoff.is_exhausted.__code__ = code


def test_a_mutant_is_called_by_whoever_had_the_function_before(exhausted: Mutant) -> None:
    held = backoff.is_exhausted
    assert not held(1, 1)
    exhausted.apply()
    assert held(1, 1) and backoff.is_exhausted is held


def test_a_method_is_changed_as_a_function_is() -> None:
    names = {mutant.name for mutant in mutants_of("ring")}
    assert {"Ring.append", "Ring.after"} <= names


def test_each_mutant_differs_from_the_code_in_what_it_says() -> None:
    changes = [mutant.change() for mutant in mutants_of("backoff")]
    assert all(change.line and change.line != change.becomes for change in changes)
    assert {mutant.module for mutant in mutants_of("backoff")} == {"backoff"}


def test_what_cannot_be_reached_is_not_changed() -> None:
    assert not [one for one in mutants_of("freezing") if "assert_never" in one.change().line]


def test_a_survivor_without_a_reason_and_a_reason_without_a_survivor_are_both_told() -> None:
    other = EXHAUSTED._replace(function="other")
    listed = Listed({EXHAUSTED: "because"})
    assert listed.compare(["backoff"], {EXHAUSTED}).is_clean
    told = listed.compare(["backoff"], {other})
    assert (told.unlisted, told.stale, told.is_clean) == ([other], [EXHAUSTED], False)
    assert listed.compare(["slot"], set()).is_clean


def test_an_entry_is_printed_as_the_list_has_it() -> None:
    (line,) = Listed({}).compare(["backoff"], {EXHAUSTED}).lines(as_entries=True)
    assert line == "  ['backoff.is_exhausted', 'return 0 <= limit < used', 'return 0 <= limit <= used'],"


def test_what_python_refuses_counts_for_nothing_and_what_runs_on_is_killed() -> None:
    assert percent([Verdict.KILLED, Verdict.TIMEOUT, Verdict.SURVIVED, Verdict.UNTESTED, Verdict.INVALID]) == 50.0


def test_a_test_is_concerned_by_what_it_imports_over_however_many_steps() -> None:
    found = uses(ROOT / "tests" / "unit" / "core" / "test_backoff.py")
    assert found == {"backoff"}
    assert {"slot", "backoff", "ending"} <= uses(ROOT / "tests" / "simulation" / "test_simulation.py")
    assert set(modules()) >= found and CORE.is_dir()
