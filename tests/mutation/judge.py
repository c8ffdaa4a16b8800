"""Which mutants the tests notice. One pytest session collects and passes once; each mutant is a fork of it.

A fork takes one change in and runs the tests that ran the changed lines when all was well, the quickest first, until
one fails.
"""

from __future__ import annotations

import gc
import os
import resource
import signal
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum

import hypothesis
import pytest
from _pytest.runner import runtestprotocol
from coverage import Coverage

from tests.mutation.imports import uses
from tests.mutation.mutants import CORE, Mutant

SUITE = ("tests/unit/core", "tests/simulation")
LEFT_OUT = (  # what takes seconds from each mutant that survives, and finds next to nothing that the others don't
    "tests/unit/core/test_phases.py",  # explores the whole machine
    "tests/unit/core/test_autoscale_promises.py",  # hypothesis over whole lives of the law
    "tests/unit/core/test_slot_world.py",  # hypothesis in the world that the seeds play in
    "tests/simulation/test_simulation.py::test_every_event_that_can_meet_a_phase_meets_it",
)
SEEDS = 12  # of the simulation's; more of them kill next to nothing more
PATIENCE = 3  # times the CPU that the tests take when all is well (and is traced), and a second: what runs on is a kill
MEMORY = 1 << 30  # bytes a fork may have; a change that makes a loop collect without an end is a kill
EVERY = 100  # mutants, a sign of life


class Verdict(StrEnum):
    KILLED = "killed"
    TIMEOUT = "timeout"  # counts as killed
    SURVIVED = "survived"
    UNTESTED = "untested"  # no test runs the function
    INVALID = "invalid"  # Python refuses it; counts as none


@dataclass(eq=False)
class Judge:
    """A plugin whose session judges instead of testing. `verdicts` are in the order of `mutants`."""

    mutants: list[Mutant]
    jobs: int
    verdicts: dict[Mutant, Verdict] = field(default_factory=dict)
    _seconds: dict[str, float] = field(default_factory=dict)  # each test's when all is well
    _lines: dict[str, dict[int, set[str]]] = field(default_factory=dict)  # file -> line -> tests that ran it

    def pytest_sessionstart(self) -> None:
        """The first failure is enough, and the same mutant must fare the same twice."""
        quick = [hypothesis.Phase.explicit, hypothesis.Phase.generate]
        hypothesis.settings.register_profile(
            "mutation", derandomize=True, database=None, deadline=None, phases=quick, print_blob=False
        )
        hypothesis.settings.load_profile("mutation")

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        concerned = {file: bool(uses(file) & {m.module for m in self.mutants}) for file in {i.path for i in items}}
        items[:] = [item for item in items if concerned[item.path] and not _is_late_seed(item)]

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        if session.testsfailed:
            raise pytest.UsageError("cannot judge mutants: tests could not be collected")
        self._pass_once(session.items)
        by_id = {item.nodeid: item for item in session.items}
        gc.collect()
        gc.freeze()
        running: dict[int, Mutant] = {}
        for mutant in self.mutants:
            tests = self._tests_of(mutant)
            if not tests:
                self.verdicts[mutant] = Verdict.UNTESTED
                continue
            while len(running) >= self.jobs:
                self._reap(running)
            if (pid := os.fork()) == 0:
                os._exit(_try(mutant, [by_id[test] for test in tests], sum(self._seconds[test] for test in tests)))
            running[pid] = mutant
        while running:
            self._reap(running)
        return True

    def _pass_once(self, items: Iterable[pytest.Item]) -> None:
        coverage = Coverage(data_file=None, include=[f"{CORE}/*"], messages=False)
        for item in items:
            coverage.start()
            coverage.switch_context(item.nodeid)
            began = time.process_time()
            reports = runtestprotocol(item, log=False, nextitem=None)
            self._seconds[item.nodeid] = time.process_time() - began
            coverage.stop()
            for report in reports:
                if report.failed:
                    raise pytest.UsageError(f"cannot judge mutants: {item.nodeid} fails without any\n{report.longrepr}")
        data = coverage.get_data()
        for file in data.measured_files():
            self._lines[file] = {line: set(tests) for line, tests in data.contexts_by_lineno(file).items()}

    def _tests_of(self, mutant: Mutant) -> list[str]:
        lines = self._lines.get(str(mutant.file), {})
        near, whole = (
            set().union(*(lines.get(line, ()) for line in some)) & self._seconds.keys()
            for some in (mutant.lines, mutant.body)
        )
        # Not every changed line has code of its own: a default does not, nor a constant in a folded tuple.
        return sorted(near or whole, key=lambda test: self._seconds[test])

    def _reap(self, running: dict[int, Mutant]) -> None:
        pid, status = os.wait()
        mutant = running.pop(pid)
        self.verdicts[mutant] = _verdict(status)
        if self.verdicts[mutant] is Verdict.SURVIVED:
            print(f"{len(self.verdicts)} of {len(self.mutants)}: {mutant.change()}", file=sys.stderr, flush=True)
        elif len(self.verdicts) % EVERY == 0:
            print(f"{len(self.verdicts)} of {len(self.mutants)}", file=sys.stderr, flush=True)


def judge(mutants: list[Mutant], jobs: int) -> dict[Mutant, Verdict]:
    """Raises SystemExit where the tests fail by themselves."""
    judging = Judge(mutants, jobs)
    left_out = [f"--deselect={test}" for test in LEFT_OUT]
    options = ["-q", "--no-header", "--no-summary", "-p", "no:cacheprovider", "--timeout=0", *left_out]
    options += ["-W", "ignore::pytest.PytestAssertRewriteWarning"]  # hypothesis is here already
    status = pytest.main([*options, *SUITE], plugins=[judging])
    if len(judging.verdicts) < len(mutants):
        raise SystemExit(int(status) or 1)
    return judging.verdicts


def _is_late_seed(item: pytest.Item) -> bool:
    call = getattr(item, "callspec", None)
    return call is not None and call.params.get("seed", 0) >= SEEDS


def _try(mutant: Mutant, tests: list[pytest.Item], seconds: float) -> int:
    """In the fork: 1 at the first test that fails, 0 when all pass, 2 where there is no such program."""
    limit = int(PATIENCE * seconds) + 1
    resource.setrlimit(resource.RLIMIT_CPU, (limit, limit))
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
    nowhere = os.open(os.devnull, os.O_RDWR)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    try:
        mutant.apply()
    except (SyntaxError, ValueError):
        return 2
    try:
        return int(any(_fails(test) for test in tests))
    except BaseException:  # a mutant that takes pytest down with it is noticed
        return 1


def _fails(test: pytest.Item) -> bool:
    return any(report.failed for report in runtestprotocol(test, log=False, nextitem=None))


def _verdict(status: int) -> Verdict:
    if os.WIFSIGNALED(status):
        return Verdict.TIMEOUT if os.WTERMSIG(status) in (signal.SIGXCPU, signal.SIGKILL) else Verdict.KILLED
    return {0: Verdict.SURVIVED, 2: Verdict.INVALID}.get(os.WEXITSTATUS(status), Verdict.KILLED)


def percent(verdicts: Iterable[Verdict]) -> float:
    """Killed of those that count."""
    counted = [verdict for verdict in verdicts if verdict is not Verdict.INVALID]
    killed = sum(verdict in (Verdict.KILLED, Verdict.TIMEOUT) for verdict in counted)
    return 100 * killed / len(counted) if counted else 100.0


def survivors(verdicts: dict[Mutant, Verdict]) -> Iterator[Mutant]:
    return (m for m, verdict in verdicts.items() if verdict in (Verdict.SURVIVED, Verdict.UNTESTED))
