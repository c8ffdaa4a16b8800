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
