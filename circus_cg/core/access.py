"""Who may ask for what: roles, and the watchers that a caller sees."""

from __future__ import annotations

import fnmatch
import re
from enum import IntEnum
from typing import NamedTuple


class Role(IntEnum):
    """Each may do what those below it may."""

    OBSERVE = 1
    OPERATE = 2
    ADMIN = 3

    @property
    def word(self) -> str:
        return self.name.lower()


class Caller(NamedTuple):
    """`watchers`: globs of those it sees; empty: all."""

    name: str  # of its key
    role: Role
    watchers: tuple[str, ...] = ()

    def may(self, role: Role) -> bool:
        return self.role >= role

    def sees(self, watcher: str) -> bool:
        """Names of watchers differ in more than case, so case is no way around a glob."""
        return not self.watchers or any(_pattern(glob).match(watcher) for glob in self.watchers)


LOCAL = Caller("local", Role.ADMIN)  # whoever may open the local endpoint


def role_of(word: str) -> Role:
    """Raises ValueError."""
    for role in Role:
        if role.word == word:
            return role
    raise ValueError(f"{word[:20]!r} is no role; expected one of {', '.join(role.word for role in Role)}")


def _pattern(glob: str) -> re.Pattern[str]:
    return re.compile(fnmatch.translate(glob), re.IGNORECASE)  # re keeps the last 512
