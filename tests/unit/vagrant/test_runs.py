"""`./dev vm`: which guests, and whose failure it was."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.guest.uml import those_of_layouts
from vagrant.__main__ import main, parsed, refused, tried_twice
from vagrant.bundle import PROJECT, Infrastructure
from vagrant.verdict import FILE, NEVER_RAN, TIMED_OUT, summary, worst, written

V2, ALL = ("v2",), ("v2", "v1", "hybrid")


@pytest.fixture(autouse=True)
def _cache_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CIRCUS_CG_VM_CACHE", str(tmp_path))
    monkeypatch.setattr("vagrant.__main__.RESULTS", tmp_path / "results")


@pytest.mark.parametrize(
    ("arguments", "meaning"),
    [
        ([], (V2, set(), [])),
        (["hybrid"], (("hybrid",), set(), [])),
        (["all", "--keep"], (ALL, {"--keep"}, [])),
        (["v2", "--brief"], (V2, {"--brief"}, [])),
        (["--keep", "-k", "unit"], (V2, {"--keep"}, ["-k", "unit"])),
        (["--keep", "v1"], (("v1",), {"--keep"}, [])),
        (["v1", "tests/functional/test_host.py"], (("v1",), set(), ["tests/functional/test_host.py"])),
    ],
)
def test_the_first_word_names_the_guests_and_the_rest_is_pytests(
    arguments: list[str], meaning: tuple[tuple[str, ...], set[str], list[str]]
) -> None:
    assert parsed(arguments) == meaning


def test_named_tests_are_not_to_be_run_briefly(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["v2", "--brief", "tests/functional/test_host.py"]) == 2
    assert "cannot be brief" in capfd.readouterr().err


@pytest.mark.parametrize("arguments", [["v3"], ["--keep", "v3"], ["v2", "tests/functional/test_hosts.py"]])
def test_no_guest_is_booted_for_a_machine_or_a_test_that_is_not_there(
    arguments: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    assert f"cannot run {arguments[-1]!r}" in capfd.readouterr().err


@pytest.mark.parametrize("wanted", [[], ["-k", "v3"], ["tests/functional/test_host.py::test_x"], ["tests/functional"]])
def test_what_pytest_can_make_out_is_left_to_it(wanted: list[str]) -> None:
    assert refused(set(), wanted) is None


def test_help_boots_no_guest(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["v1", "--help"]) == 0
    assert "--brief" in capfd.readouterr().out


def test_what_umls_guests_leave_out_is_there() -> None:
    patterns = [word.partition("=")[2] for word in those_of_layouts() if word.startswith("--ignore-glob=")]
    assert patterns
    for pattern in patterns:
        assert [*PROJECT.glob(pattern)], f"{pattern} leaves nothing out"


class Attempts:
    def __init__(self, *outcomes: int | Infrastructure) -> None:
        self._outcomes: Iterator[int | Infrastructure] = iter(outcomes)
        self.made = 0

    def __call__(self) -> int:
        self.made += 1
        outcome = next(self._outcomes)
        if isinstance(outcome, Infrastructure):
            raise outcome
        return outcome


@pytest.mark.parametrize("status", [0, 1, 2, 5, 124])
def test_what_the_tests_say_is_final(status: int, capfd: pytest.CaptureFixture[str]) -> None:
    attempt = Attempts(status)
    assert (tried_twice("v2", attempt), attempt.made) == (status, 1)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("failure", [NEVER_RAN, Infrastructure("cannot boot")])
def test_a_guest_that_failed_is_tried_once_more_and_no_test_is_blamed(
    failure: int | Infrastructure, capfd: pytest.CaptureFixture[str]
) -> None:
    attempt = Attempts(failure, 1)
    assert (tried_twice("v1", attempt), attempt.made) == (1, 2)
    assert "the v1 guest failed, not a test of it; once more" in capfd.readouterr().err
    attempt = Attempts(failure, failure, 0)
    assert (tried_twice("v1", attempt), attempt.made) == (NEVER_RAN, 2)


def test_what_a_failed_guest_left_is_not_used_again(tmp_path: Path) -> None:
    snapshot = tmp_path / "guests/v2/snapshot"
    snapshot.parent.mkdir(parents=True)
    snapshot.touch()
    tried_twice("v2", Attempts(NEVER_RAN, 0))
    assert not snapshot.exists()


def test_what_the_first_attempt_left_stays_beside_the_seconds(tmp_path: Path) -> None:
    for old in ("results/v2/console.txt", "results/v2-first/older.txt"):
        (tmp_path / old).parent.mkdir(parents=True)
        (tmp_path / old).touch()
    tried_twice("v2", Attempts(NEVER_RAN, 0))
    assert [path.name for path in (tmp_path / "results/v2-first").iterdir()] == ["console.txt"]


@pytest.mark.parametrize(
    ("statuses", "status"),
    [
        ([0, 0], 0),
        ([0, NEVER_RAN], NEVER_RAN),
        ([TIMED_OUT, NEVER_RAN], TIMED_OUT),
        ([1, TIMED_OUT, NEVER_RAN], 1),
        ([1, 5], 5),
        ([137, 1], 137),
        ([-9, 0], -9),
    ],
)
def test_a_failed_test_is_told_before_a_guest_that_failed(statuses: list[int], status: int) -> None:
    assert worst(statuses) == worst(statuses[::-1]) == status


@pytest.mark.parametrize(("text", "status"), [(None, None), ("", None), ("1", 1)])
def test_only_what_was_written_inside_counts(tmp_path: Path, text: str | None, status: int | None) -> None:
    if text is not None:
        (tmp_path / FILE).write_text(text)
    assert written(tmp_path) == status


REPORT = '<testsuites><testsuite errors="0" failures="{}" skipped="2" tests="{}" time="{}"></testsuite></testsuites>'


@pytest.mark.parametrize(
    ("reports", "status", "told"),
    [
        ([(0, 10, 1.25), (0, 5, 4)], 0, "v2: 11 passed, 4 skipped in 5 s"),
        ([(3, 10, 1.0), (0, 5, 4)], 1, "v2: 3 failed, 8 passed, 4 skipped in 5 s"),
        ([(0, 10, 1.0)], TIMED_OUT, "v2: 8 passed, 2 skipped in 1 s; then the time was over"),
        ([(0, 10, 1.0)], 137, "v2: 8 passed, 2 skipped in 1 s; pytest's exit status: 137"),
        ([(0, 10, 1.0)], 1, "v2: 8 passed, 2 skipped in 1 s; pytest's exit status: 1"),
        ([], NEVER_RAN, "v2: no test ran in 0 s; the guest failed, no test"),
    ],
)
def test_the_last_line_has_all_visits(
    tmp_path: Path, reports: list[tuple[int, int, float]], status: int, told: str
) -> None:
    (tmp_path / "killed.xml").write_text("<testsuites>")
    for number, report in enumerate(reports):
        (tmp_path / f"{number}.xml").write_text(REPORT.format(*report))
    assert summary("v2", tmp_path, status) == told
