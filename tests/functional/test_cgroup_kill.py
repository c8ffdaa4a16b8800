"""A group can be frozen, killed whole and removed, whatever forked, called setsid or made groups of its own in it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from circus_cg.cgroup import hierarchy
from circus_cg.cgroup.tree import Tree
from circus_cg.spec import Limits
from tests.conftest import until
from tests.functional.evidence import alive
from tests.functional.groups import BOMB, SPIN, Place, kill, members, status
from tests.scratch_groups import left_of, mounts


@pytest.mark.parametrize("limits", [Limits(), Limits(cpu_max=0.2, pids_max=64)], ids=["unlimited", "under a quota"])
def test_a_bounded_fork_bomb_dies_whole(place: Place, limits: Limits) -> None:
    group = place.worker(limits)
    bomb = place.run(group, BOMB + SPIN)
    until(lambda: len(members(group)) == 64, 20, "64 processes")
    if limits.cpu_max is not None:
        until(lambda: group.usage().nr_throttled, 20, "the quota to hold them up")
    kill(group)
    assert status(bomb) == -9
    until(group.remove, why="its removal")


def test_groups_below_the_workers_own_die_and_go_with_it(place: Place) -> None:
    group = place.worker()
    for directory in group.directories:
        os.makedirs(f"{directory}/a/b")
    inner = place.sleeper(group, below="/a/b")
    assert group.populated()
    assert not group.remove()
    kill(group)
    assert status(inner) == -9
    until(group.remove, why="its removal")
    assert not any(map(os.path.isdir, group.directories))


def test_an_occupied_group_is_not_removed_and_one_that_is_gone_counts_as_removed(place: Place) -> None:
    group = place.worker()
    sleeper = place.sleeper(group)
    assert not group.remove()
    assert alive(sleeper.pid)
    kill(group)
    until(group.remove, why="its removal")
    assert group.remove() and not group.populated()
    group.kill()  # of nothing


def test_a_frozen_worker_stands_still_and_goes_on_when_thawed(place: Place, tmp_path: Path) -> None:
    group = place.worker()
    ticks = tmp_path / "ticks"
    place.run(group, f"while True:\n  open({str(ticks)!r}, 'a').write('x')\n  time.sleep(0.001)")
    until(lambda: ticks.exists() and ticks.stat().st_size > 3, why="the first ticks")
    assert not group.frozen()
    group.freeze()
    until(lambda: stands_still(place, group.directories), why="the group to be frozen")
    assert group.frozen()
    before = ticks.stat().st_size
    os.sched_yield()
    assert ticks.stat().st_size == before
    group.thaw()
    until(lambda: ticks.stat().st_size > before, why="it to go on")
    kill(group)


def stands_still(place: Place, directories: list[str]) -> bool:
    """The kernel's own word, which comes a little after the request."""
    for directory in directories:
        if os.path.exists(f"{directory}/cgroup.freeze"):
            return "frozen 1" in Path(directory, "cgroup.events").read_text()
        if os.path.exists(f"{directory}/freezer.state"):
            return Path(directory, "freezer.state").read_text().strip() == "FROZEN"
    raise AssertionError(f"no freezer in {directories}")


def test_a_frozen_group_can_be_killed(place: Place) -> None:
    group = place.worker()
    sleeper = place.sleeper(group)
    group.freeze()
    kill(group)
    assert status(sleeper) == -9
    until(group.remove, why="its removal")


def test_a_stale_tree_is_killed_and_removed_frozen_and_throttled_groups_too(place: Place) -> None:
    watcher = place.watcher(Limits(cpu_max=0.1), Limits(cpu_max=0.1))
    frozen, busy = watcher.worker(1, 1), watcher.worker(2, 1)
    for group in (frozen, busy):
        group.create()
    sleeper = place.sleeper(frozen)
    frozen.freeze()
    bomb = place.run(busy, BOMB + SPIN)
    until(lambda: len(members(busy)) == 64, 30, "64 processes")
    Tree(hierarchy.find("/"), place.tree.name).kill_stale()
    assert status(sleeper) == -9 and status(bomb) == -9
    assert left_of(place.tree.name) == []


def test_clearing_what_is_not_there_is_no_error(place: Place) -> None:
    place.tree.kill_stale()
    assert left_of(place.tree.name) == []
    assert mounts()


def test_a_removed_watcher_leaves_no_group(place: Place) -> None:
    watcher = place.watcher(Limits(pids_max=5))
    for wid in range(3):
        watcher.worker(wid, 1).create()
    assert watcher.lives() == {(0, 1), (1, 1), (2, 1)}
    assert watcher.remove()
    assert watcher.lives() == set()
    assert not any(map(os.path.isdir, watcher.directories))
