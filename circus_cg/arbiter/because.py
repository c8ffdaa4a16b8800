"""What is going on now is because of this: an operator's command, or a decision. Who writes events looks here.

It goes where the work goes: into tasks, and into timers that are set meanwhile, such as the kill after a stop.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeVar

T = TypeVar("T")


class Command:
    """An operator's. `told`: the id of its event, by each watcher that something came of it for."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.told: dict[str, int] = {}


_now: ContextVar[Command | int | None] = ContextVar("because", default=None)


def current() -> Command | int | None:
    """An int is the id of a decision."""
    return _now.get()


@contextmanager
def because(of: Command | int | None) -> Iterator[None]:
    before = _now.set(of)
    try:
        yield
    finally:
        _now.reset(before)


def begin(of: Command, work: Callable[[], T | Awaitable[T]]) -> T | Awaitable[T]:
    """As `work()`; what it leaves to be waited for is done because of it too."""
    with because(of):
        outcome = work()
    return _waited(of, outcome) if isinstance(outcome, Awaitable) else outcome


async def _waited(of: Command, rest: Awaitable[T]) -> T:
    with because(of):
        return await rest
