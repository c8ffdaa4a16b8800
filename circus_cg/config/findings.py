"""What a reader of several files has to say: problems, which refuse the configuration, and notices, which don't."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from enum import StrEnum
from typing import NamedTuple

import msgspec

from circus_cg.config.problems import MAX_PROBLEMS, Path, shown
from circus_cg.errors import ConfigError

MAX_PLACES = 8  # of one notice in a message
MAX_NOTICES = 200  # lines
MAX_GUESSES = 100  # a guess takes a millisecond


class Place(NamedTuple):
    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


class Kind(StrEnum):
    UNKNOWN = "unknown"  # a key nobody knows: an error if the operator wants it strict
    NOT_YET = "not yet"
    NEVER = "never"
    NOTE = "note"  # acts, but perhaps not as it looks


class Notice(msgspec.Struct, frozen=True, kw_only=True):
    """One remark about a configuration that can be used. `watcher` is None if it is about no single one."""

    kind: Kind
    file: str
    line: int
    text: str
    watcher: str | None = None

    @property
    def place(self) -> Place:
        return Place(self.file, self.line)


class Findings:
    """Collects problems and notices, and the places of what is read."""

    def __init__(self) -> None:
        self._problems: dict[tuple[Place, str], None] = {}
        self._wrong: set[Path] = set()
        self._places: dict[Path, Place] = {}
        self._notices: dict[Notice, None] = {}
        self._unknown = 0

    def place(self, path: Path, place: Place) -> None:
        """The option `path` of the spec is written at `place`: what is found wrong with it later is told there."""
        self._places.setdefault(path, place)

    def problem(self, place: Place, text: str, path: Path = ()) -> None:
        """Something is wrong at `place`, where the spec's `path` is written: further judgement of that is spared."""
        self._problems[(place, text)] = None
        self._wrong.add(path)

    def judged(self, path: Path) -> bool:
        """Is it known to be wrong?"""
        return path in self._wrong

    def notice(self, kind: Kind, place: Place, text: str, watcher: str | None = None) -> None:
        self._notices[Notice(kind=kind, file=place.file, line=place.line, text=text, watcher=watcher)] = None

    def unknown(self, place: Place, what: str, guess: Callable[[], str | None], watcher: str | None = None) -> None:
        """Nobody knows `what`; `guess` tells what was meant."""
        self._unknown += 1
        meant = guess() if self._unknown <= MAX_GUESSES else None
        self.notice(
            Kind.UNKNOWN, place, f"unknown {what}" + (f"; did you mean '{shown(meant)}'?" if meant else ""), watcher
        )

    @property
    def notices(self) -> tuple[Notice, ...]:
        return tuple(sorted(self._notices, key=lambda one: one.place))

    def where(self, path: Path, otherwise: Place) -> Place:
        while path and path not in self._places:
            path = path[:-1]
        return self._places.get(path, otherwise)

    def raise_any(self) -> None:
        """Raises ConfigError if there are problems."""
        if self._problems:
            raise refusal([f"{place}: {text}" for place, text in sorted(self._problems)])


def refusal(lines: list[str]) -> ConfigError:
    """Not more of them than help."""
    kept = lines[:MAX_PROBLEMS]
    if len(lines) > MAX_PROBLEMS:
        kept.append(f"{len(lines) - MAX_PROBLEMS} more problems are not shown")
    return ConfigError(kept)


def told(notices: Iterable[Notice]) -> list[str]:
    """One line for all notices that say the same: seven watchers with one key are no seven lines."""
    alike: dict[tuple[Kind, str], list[Place]] = {}
    for one in notices:
        alike.setdefault((one.kind, one.text), []).append(one.place)
    lines = [f"{places[0]}: {text}{_others(places)}" for (_, text), places in alike.items()]
    more = len(lines) - MAX_NOTICES
    return lines if more <= 0 else [*lines[:MAX_NOTICES], f"{more} more warnings are not shown"]


def _others(places: list[Place]) -> str:
    if len(places) == 1:
        return ""
    first, *rest = places
    shown = [str(one.line) if one.file == first.file else str(one) for one in rest[:MAX_PLACES]]
    more = f" and {len(rest) - MAX_PLACES} more" if len(rest) > MAX_PLACES else ""
    return f" (also at {', '.join(shown)}{more})"
