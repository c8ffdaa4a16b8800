"""The last so many of a series, each under its own number: who reads late learns what was lost."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Generic, NamedTuple, TypeVar

T = TypeVar("T")


class Start(NamedTuple):
    """Where reading goes on, and what can't be read any more: None is an unknown number."""

    next: int
    lost: int | None


class Ring(Generic[T]):
    """Appending and reading cost the same however large it is."""

    def __init__(self, size: int, first: int) -> None:
        """`first`: the number of the first item. Another ring's numbers should all be lower, or all be higher."""
        self._size, self._first, self._next = size, first, first
        self._items: list[T] = []

    @property
    def next(self) -> int:
        """The number of the item that is still to come."""
        return self._next

    @property
    def oldest(self) -> int:
        return self._next - len(self._items)

    def append(self, item: T) -> int:
        number, self._next = self._next, self._next + 1
        if len(self._items) < self._size:
            self._items.append(item)
        else:
            self._items[(number - self._first) % self._size] = item
        return number

    def after(self, seen: int) -> Start:
        """For a reader whose last item was `seen`, perhaps of another ring."""
        if not self._first - 1 <= seen < self._next:
            return Start(self.oldest, None)
        return Start(max(seen + 1, self.oldest), max(0, self.oldest - seen - 1))

    def read(self, begin: int, most: int) -> Iterator[tuple[int, T]]:
        """At most `most` items from `begin` on, which must not be older than `oldest`."""
        for number in range(begin, min(self._next, begin + most)):
            yield number, self._items[(number - self._first) % self._size]
