"""An operator's command as an event: told of each watcher that something came of it for, or nothing because refused."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from circus_cg.arbiter import because
from circus_cg.arbiter.arbiter import Arbiter
from circus_cg.arbiter.commands.target import Fields
from circus_cg.core.access import Caller
from circus_cg.core.line import one_line
from circus_cg.errors import CircusCgError
from circus_cg.rpc.messages import Forbidden

LONGEST = 500  # characters of a refusal
LONGEST_WORD = 64
SHOWN = 10  # names of options
VALUES = ("options", "cmd", "args")  # of a request: whoever may look and the log must not get a word of them
UNSAID = "why was told to who asked, since it may quote what was given"
WORDS = ("nb", "wid", "signum")  # of a request, besides its options


class Asking:
    def __init__(self, arbiter: Arbiter, command: str, asked: msgspec.Struct, caller: Caller) -> None:
        self._arbiter, self._asked = arbiter, asked
        self._text = f"{_said(command, asked)} by {caller.name}"
        self._quotes = any(getattr(asked, word, None) for word in VALUES)

    def begin(self, work: Callable[[], Fields | Awaitable[Fields]]) -> Fields | Awaitable[Fields]:
        """As `work()`."""
        try:
            outcome = because.begin(because.Command(self._text), work)
        except (CircusCgError, OSError) as refused:
            self._tell(refused)
            raise
        return outcome if isinstance(outcome, dict) else self._rest(outcome)

    async def _rest(self, outcome: Awaitable[Fields]) -> Fields:
        try:
            return await outcome
        except (CircusCgError, OSError) as refused:
            self._tell(refused)
            raise

    def _tell(self, refused: CircusCgError | OSError) -> None:
        """Of watchers that it named and that are there; who may not ask at all is the audit's business."""
        if isinstance(refused, Forbidden):
            return
        names = getattr(self._asked, "name", None)
        for name in [names] if isinstance(names, str) else names or ():
            if name in self._arbiter.runners:
                why = UNSAID if self._quotes else one_line("; ".join(str(refused).splitlines()), LONGEST)
                self._arbiter.journal.tell(name, "refused", f"{self._text}: {why}")


def _said(command: str, asked: Any) -> str:
    """Names of options only: a value may be a secret. Whoever reads it, in a terminal perhaps, is not who wrote it."""
    values = [value for word in WORDS if (value := getattr(asked, word, None)) is not None]
    names = list(getattr(asked, "options", None) or {})[:SHOWN]
    return " ".join([command, *(one_line(str(one), LONGEST_WORD) for one in [*values, *names])])
