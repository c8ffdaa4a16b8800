"""`./dev vm`: which guests, and whose failure it was."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.guest.uml import those_of_layouts
from vagrant.__main__ import NEVER_RAN, main, parsed, tried_twice
from vagrant.bundle import PROJECT, Infrastructure

V2, ALL = ("v2",), ("v2", "v1", "hybrid")


@pytest.fixture(autouse=True)
def _cache_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CIRCUS_CG_VM_CACHE", str(tmp_path))


@pytest.mark.parametrize(
    ("arguments", "meaning"),
    [
        ([], (V2, set(), [])),
        (["hybrid"], (("hybrid",), set(), [])),
        (["all", "--keep"], (ALL, {"--keep"}, [])),
        (["v2", "--brief"], (V2, {"--brief"}, [])),
        (["--keep", "-k", "unit"], (V2, {"--keep"}, ["-k", "unit"])),
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
