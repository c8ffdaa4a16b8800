"""The groups of lives: when they are removed, and that nothing is once they are another's."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest

from circus_cg.arbiter import lives
from circus_cg.arbiter.lives import LifeGroups


class Group:
    """Directories in place of cgroups: rmdir is the kernel's either way."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def worker(self, wid: int, generation: int) -> Group:
        return Group(self.path / f"{wid}.{generation}")

    def remove(self) -> bool:
        if self.path.exists():
            self.path.rmdir()
        return True

    def close(self) -> None:
        pass


@pytest.mark.parametrize("last", [LifeGroups.remove_all, LifeGroups.close])
def test_what_a_watcher_still_had_to_remove_is_never_the_next_ones(
    last: Callable[[LifeGroups], Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lives, "REMOVE_SOON", 0.0)
    monkeypatch.setattr(lives, "life_of", lambda group, wid, generation: group.worker(wid, generation))

    async def story() -> None:
        place = tmp_path / "w"
        place.mkdir()
        groups = LifeGroups(cast("Any", Group(place)), cast("Any", None), cast("Any", None), lambda *_: None)
        groups.remove_soon(1, 1)
        last(groups)
        (place / "1.1").mkdir(parents=True)  # of another watcher of that name
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert (place / "1.1").exists()

    asyncio.run(story())


class Killable:
    """Of a watcher whose kernel takes one process where the whole group must go, if `ours`."""

    def __init__(self, ours: bool) -> None:
        self.oom_group_is_ours = ours

    def under(self, watcher: Killable) -> Killable:
        return watcher

    def close(self) -> None:
        pass


class Hub:
    def __init__(self) -> None:
        self.watched: list[int] = []
        self._next = 0

    def watch_oom(self, group: Killable, told: Callable[[], None]) -> int:
        self._next += 1
        self.watched.append(self._next)
        return self._next

    def forget(self, handle: int) -> None:
        self.watched.remove(handle)


def test_lives_are_watched_for_the_oom_killer_as_long_as_their_limits_ask_for_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(lives, "life_of", lambda group, wid, generation: group)

    async def story() -> None:
        hub = Hub()
        groups = LifeGroups(cast("Any", Killable(False)), cast("Any", hub), cast("Any", None), lambda *_: None)
        groups.watch_oom(1, 1)
        assert hub.watched == []
        groups.regroup(cast("Any", Killable(True)), {1: 1, 2: 5})
        assert hub.watched == [1, 2], "those that run when it is said"
        groups.regroup(cast("Any", Killable(True)), {1: 1, 2: 5})
        assert hub.watched == [1, 2], "once each"
        groups.regroup(cast("Any", Killable(False)), {1: 1, 2: 5})
        assert hub.watched == []
        groups.regroup(cast("Any", Killable(True)), {2: 5})
        assert len(hub.watched) == 1, "and when it is said again"

    asyncio.run(story())
