"""What goes on now is because of this: an operator's command, or a decision. Who writes events looks here.

It holds while its work runs, and where that waits; what it leaves behind, such as timers and tasks, is on its own,
unless it is carried along.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeVar

T = TypeVar("T")


class Command:
    """An operator's. `told`: the id of its event, by each watcher that something came of it for."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.told: dict[str, int] = {}


Cause = Command | int | None  # an int is the id of a decision


class _Held:
    """Contexts are copied into timers and tasks; they share this, and find it over."""

    def __init__(self, of: Cause) -> None:
        self.of = of


_now: ContextVar[_Held | None] = ContextVar("because", default=None)


def current() -> Cause:
    held = _now.get()
    return None if held is None else held.of


@contextmanager
def because(of: Cause) -> Iterator[None]:
    held = _Held(of)
    before = _now.set(held)
    try:
        yield
    finally:
        held.of = None
        _now.reset(before)


def begin(of: Cause, work: Callable[[], T | Awaitable[T]]) -> T | Awaitable[T]:
    """As `work()`; what is left to be waited for is done because of it too."""
    with because(of):
        outcome = work()
    return _waited(of, outcome) if isinstance(outcome, Awaitable) else outcome


def carried(work: Callable[[], Awaitable[T]]) -> Coroutine[Any, Any, T]:
    """For a task that goes on with what is done now. `work` is called when it begins, if it is not cancelled before."""
    return _begun(current(), work)


async def _begun(of: Cause, work: Callable[[], Awaitable[T]]) -> T:
    with because(of):
        return await work()


async def _waited(of: Cause, rest: Awaitable[T]) -> T:
    with because(of):
        return await rest
