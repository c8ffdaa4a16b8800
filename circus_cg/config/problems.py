"""What is wrong with a text and those it includes: all of it, each with its file and line.

A path names an option from the top: ("watchers", "web", "limits", "cpu_max").
"""

from __future__ import annotations

from typing import NamedTuple

from circus_cg.errors import ConfigError

Path = tuple[str, ...]

MAX_PROBLEMS = 100  # more of them help nobody
MAX_PATH = 4096  # characters of a file's name in a message
SHOWN = 64  # characters of somebody else's text in a message


class Problem(NamedTuple):
    path: Path
    text: str


class _Place(NamedTuple):
    """In the order of what was read."""

    file: int
    line: int
    column: int


class Problems:
    """Collects the problems of a file and of those it includes, and where their options stand."""

    def __init__(self, file: str) -> None:
        self._files = [file]
        self._current = 0
        self._found: dict[tuple[_Place, str], list[str]] = {}
        self._paths: set[Path] = set()
        self._places: dict[Path, _Place] = {}

    @property
    def file(self) -> str:
        """The file that is being read."""
        return self._files[self._current]

    def open(self, file: str) -> None:
        """The lines told from here on are those of `file`; what has its place keeps it."""
        if file not in self._files:
            self._files.append(file)
        self._current = self._files.index(file)

    def place(self, path: Path, line: int, column: int = 1) -> None:
        """`path` is written there; what is found wrong with it later is told there."""
        self._places.setdefault(path, _Place(self._current, line, column))

    def place_as(self, path: Path, other: Path) -> None:
        """`path`, where it has no place of its own, comes from what stands at `other`."""
        self._places.setdefault(path, self._place(other))

    def placed(self, path: Path) -> bool:
        return path in self._places

    def spot(self, path: Path) -> str:
        """Where `path` is written: `file:line`."""
        file, line = self.at(path)
        return f"{file}:{line}"

    def at(self, path: Path) -> tuple[str, int]:
        """File and line where `path` is written."""
        place = self._place(path)
        return shown(self._files[place.file], MAX_PATH), place.line

    def add(self, path: Path, text: str, line: int | None = None, column: int = 1) -> None:
        """Something is wrong with `path`, or within it: further judgement of it is spared.

        A mistake in a template, which many paths share by an alias or a merge, is one problem.
        """
        self._paths.add(path)
        place = self._place(path) if line is None else _Place(self._current, line, column)
        self._found.setdefault((place, _anonymous(text, path)), []).append(text)

    def judged(self, path: Path) -> bool:
        """Is it known to be wrong, wholly or in part?"""
        return path in self._paths

    def raise_any(self) -> None:
        """Raises ConfigError if there are any."""
        found = sorted((place, _shared(texts)) for (place, _cause), texts in self._found.items())
        names = [shown(file, MAX_PATH) for file in self._files]
        lines = [f"{names[place.file]}:{place.line}: {text}" for place, text in found[:MAX_PROBLEMS]]
        if len(found) > MAX_PROBLEMS:
            lines.append(f"{names[0]}: {len(found) - MAX_PROBLEMS} more problems are not shown")
        if lines:
            raise ConfigError(lines)

    def _place(self, path: Path) -> _Place:
        while path and path not in self._places:
            path = path[:-1]
        return self._places.get(path, _Place(0, 1, 1))


def _anonymous(text: str, path: Path) -> str:
    """`text` without the name of what it is told of."""
    for named in (path, path[:-1]):
        if named:
            text = text.replace(_named(named), "", 1)
    return text


def _shared(texts: list[str]) -> str:
    others = len(set(texts)) - 1
    return texts[0] + (f" (and {others} more use{'' if others == 1 else 's'} of these lines)" if others else "")


def where(path: Path) -> str:
    """The mapping at `path`: `in limits of watcher 'web'`."""
    return f"in {_named(path)}" if path else "at the top level"


def title(path: Path) -> str:
    """The option at `path`: `cpu_max in limits of watcher 'web'`."""
    if len(path) == 1 or _is_watcher(path):
        return _named(path)
    return f"{shown(path[-1])} {where(path[:-1])}"


def shown(text: str, longest: int = SHOWN) -> str:
    """As it may stand in a message: short, one line, nothing a terminal would obey."""
    cut = text if len(text) <= longest else text[:longest] + "..."
    return cut if cut.isprintable() else ascii(cut)[1:-1]


def _named(path: Path) -> str:
    if path[0] != "watchers" or len(path) == 1:
        return ".".join(map(shown, path))
    watcher = f"watcher '{shown(path[1])}'"
    return watcher if _is_watcher(path) else f"{'.'.join(map(shown, path[2:]))} of {watcher}"


def _is_watcher(path: Path) -> bool:
    return len(path) == 2 and path[0] == "watchers"
