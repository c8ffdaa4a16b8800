"""Groups tell by themselves that they are empty or had an OOM kill; the verdict blames the right limit."""

from __future__ import annotations

import os
import select
from collections.abc import Iterator
from functools import partial

import pytest

from circus_cg.cgroup.group import WorkerGroup
from circus_cg.cgroup.usage import OomVerdict
from circus_cg.cgroup.watch import EventHub
from tests.conftest import SLOWNESS, until
from tests.functional.groups import HOG, Place, kill, status

MIB = 1 << 20


@pytest.fixture
def hub() -> Iterator[EventHub]:
    hub = EventHub()
    yield hub
    hub.close()


def wait(hub: EventHub, told: list[str], wanted: str) -> None:
    """Sleep on the descriptor as an event loop does; nothing is polled for."""
    while wanted not in told:
        readable, _, _ = select.select([hub], [], [], 20 * SLOWNESS)
        assert readable, f"waited in vain for {wanted!r}, was told {told}"
        hub.dispatch()


def test_a_group_tells_that_it_became_empty(place: Place, hub: EventHub) -> None:
    group = place.worker()
    sleepers = [place.sleeper(group) for _ in range(3)]
    told: list[str] = []
    hub.watch_populated(group, lambda: told.append("?" if group.populated() else "empty"))
    for sleeper in sleepers:
        assert "empty" not in told
        sleeper.kill()
        sleeper.wait()
    wait(hub, told, "empty")


def test_every_watched_group_tells_for_itself(place: Place, hub: EventHub) -> None:
    watcher = place.watcher()
    groups = [watcher.worker(wid, 1) for wid in range(2)]
    told: list[str] = []

    def look(group: WorkerGroup) -> None:
        """A callback says only that: the kernel tells of a birth too, and up to 10 ms late when it told just before."""
        if not group.populated():
            told.append(group.label)

    for group in groups:
        group.create()
        place.sleeper(group)
        hub.watch_populated(group, partial(look, group))
    kill(groups[1])
    wait(hub, told, groups[1].label)
    assert groups[0].label not in told
    kill(groups[0])
    wait(hub, told, groups[0].label)


def test_a_forgotten_group_tells_nothing(place: Place, hub: EventHub) -> None:
    group = place.worker()
    place.sleeper(group)
    told: list[str] = []
    hub.forget(hub.watch_populated(group, lambda: told.append("forgotten")))
    kill(group)
    until(group.remove, why="its removal")
    hub.dispatch()
    assert told == []


def test_a_callback_can_forget_what_was_to_be_told_next(place: Place, hub: EventHub) -> None:
    watcher = place.watcher()
    groups = [watcher.worker(wid, 1) for wid in range(2)]
    handles: dict[str, int] = {}
    told: list[str] = []

    def first_forgets_the_other(label: str) -> None:
        told.append(label)
        for handle in handles.values():
            hub.forget(handle)

    for group in groups:
        group.create()
        place.sleeper(group)
        handles[group.label] = hub.watch_populated(group, lambda label=group.label: first_forgets_the_other(label))
    for group in groups:
        kill(group)
    while not told:
        hub.dispatch()
    hub.dispatch()
    assert len(told) == 1


def test_watching_a_group_that_is_gone_is_no_error(place: Place, hub: EventHub) -> None:
    group = place.watcher().worker(1, 1)
    for handle in (hub.watch_populated(group, list), hub.watch_oom(group, list)):
        hub.forget(handle)


def test_a_worker_killed_at_its_own_limit_is_told_and_blamed_on_it(place: Place, hub: EventHub) -> None:
    group = place.worker(place.without_swap(32 * MIB))
    assert group.oom() == OomVerdict()
    told: list[str] = []
    hub.watch_oom(group, lambda: told.append("oom"))
    hog = place.run(group, HOG)
    wait(hub, told, "oom")
    assert status(hog) == -9
    verdict = group.oom()
    assert verdict.own_limit and verdict.kills >= 1 and verdict.limit == 32 * MIB
    assert verdict.peak is None or verdict.peak >= 31 * MIB


def test_an_oom_in_a_group_below_is_blamed_on_the_workers_limit(place: Place) -> None:
    group = place.worker(place.without_swap(32 * MIB))
    for directory in group.directories:
        os.mkdir(f"{directory}/inner")
    hog = place.run(group, HOG, below="/inner")
    assert status(hog) == -9
    verdict = group.oom()
    assert verdict.own_limit and verdict.kills >= 1


def test_the_watchers_limit_is_blamed_for_each_of_its_victims(place: Place) -> None:
    watcher = place.watcher(watcher_limits=place.without_swap(40 * MIB))
    groups = [watcher.worker(wid, 1) for wid in range(2)]
    for group in groups:
        group.create()
    for group in groups:
        hog = place.run(group, HOG)
        assert status(hog) == -9
    for group in groups:
        verdict = group.oom()
        assert verdict.own_limit and verdict.kills >= 1 and verdict.limit == 40 * MIB


def test_a_new_life_is_not_blamed_for_the_one_before(place: Place) -> None:
    watcher = place.watcher(place.without_swap(32 * MIB))
    first = watcher.worker(1, 1)
    first.create()
    assert status(place.run(first, HOG)) == -9
    assert first.oom().kills >= 1
    second = watcher.worker(1, 2)
    second.create()
    assert second.oom() == OomVerdict()
