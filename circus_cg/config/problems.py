"""What is wrong with a text: all of it, each with its line.

A path names an option from the top: ("watchers", "web", "limits", "cpu_max").
"""

from __future__ import annotations

from circus_cg.errors import ConfigError

Path = tuple[str, ...]

MAX_PROBLEMS = 100  # more of them help nobody
SHOWN = 64  # characters of somebody else's text in a message


class Problems:
    """Collects the problems of one file and the lines of its options."""

    def __init__(self, file: str) -> None:
        self._file = file
        self._found: dict[tuple[int, str], None] = {}
        self._paths: set[Path] = set()
        self._lines: dict[Path, int] = {}

    def place(self, path: Path, line: int) -> None:
        """`path` is written at `line`; what is found wrong with it later is told there."""
        self._lines.setdefault(path, line)

    def add(self, path: Path, text: str, line: int | None = None) -> None:
        """Something is wrong with `path`, or within it: further judgement of it is spared."""
        self._paths.add(path)
        self._found[(self._line(path) if line is None else line, text)] = None

    def judged(self, path: Path) -> bool:
        """Is it known to be wrong, wholly or in part?"""
        return path in self._paths

    def raise_any(self) -> None:
        """Raises ConfigError if there are any."""
        found = sorted(self._found)
        lines = [f"{self._file}:{line}: {text}" for line, text in found[:MAX_PROBLEMS]]
        if len(found) > MAX_PROBLEMS:
            lines.append(f"{self._file}: {len(found) - MAX_PROBLEMS} more problems are not shown")
        if lines:
            raise ConfigError(lines)

    def _line(self, path: Path) -> int:
        while path and path not in self._lines:
            path = path[:-1]
        return self._lines.get(path, 1)


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
