"""What is written is what is at least as urgent as the level that was set."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from circus_cg.keeper import log

LEVELS = log.LEVELS


@pytest.fixture
def lines() -> Iterator[list[tuple[str, str, str]]]:
    before = log._sinks[:]
    found: list[tuple[str, str, str]] = []
    log.redirect(lambda who, text, level: found.append((who, text, level)))
    yield found
    log._sinks[:] = before
    log.set_level("info")


@pytest.mark.parametrize("level", LEVELS)
def test_a_line_is_written_from_its_level_on(lines: list[tuple[str, str, str]], level: str) -> None:
    log.set_level(level)
    for one in LEVELS:
        log.say("arbiter", one, one)
    assert [said for _, said, _ in lines] == list(LEVELS[LEVELS.index(level) :])
    assert log.level() == level and log.says("error") and log.says("debug") is (level == "debug")


def test_a_line_without_a_level_is_for_the_operator(lines: list[tuple[str, str, str]]) -> None:
    log.set_level("warning")
    log.say("keeper", "something")
    assert lines == [("keeper", "something", "warning")]
