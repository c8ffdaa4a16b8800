"""The mutants that survive by right, each with its reason: survivors.toml."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from tests.mutation.mutants import Change

LIST = Path(__file__).with_name("survivors.toml")


@dataclass(frozen=True)
class Told:
    unlisted: list[Change]
    stale: list[Change]  # listed, but killed now or gone

    @property
    def is_clean(self) -> bool:
        return not self.unlisted and not self.stale

    def lines(self, as_entries: bool) -> Iterable[str]:
        for change in self.unlisted:
            yield _entry(change) if as_entries else f"survived: {change.module}.{_shown(change)}"
        for change in self.stale:
            yield f"listed, but killed or gone: {change.module}.{_shown(change)}"


class Listed:
    def __init__(self, reasons: dict[Change, str]) -> None:
        self._reasons = reasons

    @classmethod
    def read(cls) -> Listed:
        """Raises ValueError for one without a reason."""
        reasons: dict[Change, str] = {}
        for group in tomllib.loads(LIST.read_text()).get("group", ()):
            if not group.get("reason"):
                raise ValueError(f"cannot read {LIST}: a group without a reason")
            for function, line, becomes in group["changes"]:
                module, _, name = function.partition(".")
                reasons[Change(module, name, line, becomes)] = group["reason"]
        return cls(reasons)

    def compare(self, modules: Iterable[str], survived: set[Change]) -> Told:
        listed = {change for change in self._reasons if change.module in set(modules)}
        return Told(sorted(survived - listed), sorted(listed - survived))


def _shown(change: Change) -> str:
    return f"{change.function}\n    - {change.line}\n    + {change.becomes or '(gone)'}"


def _entry(change: Change) -> str:
    texts = (f"{change.module}.{change.function}", change.line, change.becomes)
    return "  [" + ", ".join(f"'{text}'" if "'" not in text else f"'''{text}'''" for text in texts) + "],"
