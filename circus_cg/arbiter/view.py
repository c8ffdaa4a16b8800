"""The arbiter as a caller sees it who is let near some of its watchers only: the others are not there."""

from __future__ import annotations

from collections.abc import Callable, Iterator, MutableMapping
from typing import TYPE_CHECKING, Any, cast

from circus_cg.rpc import messages as rpc

if TYPE_CHECKING:
    from circus_cg.arbiter.arbiter import Arbiter
    from circus_cg.arbiter.runner import WatcherRunner


class View:
    """Everything is the arbiter's own but `runners`. What commands do with it, they do with the arbiter."""

    def __init__(self, arbiter: Arbiter, sees: Callable[[str], bool]) -> None:
        self._arbiter = arbiter
        self.runners = _Seen(arbiter.runners, sees)
        self.sees = sees
        self.sees_all = False

    @classmethod
    def of(cls, arbiter: Arbiter, sees: Callable[[str], bool]) -> Arbiter:
        return cast("Arbiter", cls(arbiter, sees))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._arbiter, name)


class _Seen(MutableMapping[str, "WatcherRunner"]):
    """What is not seen can be neither read nor overwritten; what happens meanwhile is seen at once."""

    def __init__(self, runners: MutableMapping[str, WatcherRunner], sees: Callable[[str], bool]) -> None:
        self._runners, self._sees = runners, sees

    def __getitem__(self, name: str) -> WatcherRunner:
        if not self._sees(name):
            raise KeyError(name)
        return self._runners[name]

    def __setitem__(self, name: str, runner: WatcherRunner) -> None:
        self._refuse(name)
        self._runners[name] = runner

    def __delitem__(self, name: str) -> None:
        self._refuse(name)
        del self._runners[name]

    def __iter__(self) -> Iterator[str]:
        return (name for name in self._runners if self._sees(name))

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def _refuse(self, name: str) -> None:
        if not self._sees(name):
            raise rpc.Forbidden(f"cannot change {name!r}: this key is for other watchers")
