"""The limits of groups in which workers run, changed: the watcher's own and its workers', in an order that holds."""

from __future__ import annotations

import errno
import os
from collections.abc import Collection, Iterable, Iterator

from circus_cg.cgroup import files, v1
from circus_cg.cgroup.enforceable import with_weight_file
from circus_cg.cgroup.group import WatcherGroup, WorkerGroup
from circus_cg.cgroup.hierarchy import Hierarchy
from circus_cg.cgroup.limits import Setting
from circus_cg.cgroup.limits.change import BOUND, INHERITED, ORDERED, Changes, changes, effective
from circus_cg.errors import CgroupError
from circus_cg.spec import Limits

GONE = {errno.ENOENT, errno.ENODEV, errno.ESRCH}
ROUNDS = 20  # of moving what a worker forks meanwhile
Life = tuple[int, int]  # wid, generation


def relimit(
    old: WatcherGroup | None, new: WatcherGroup, lives: Iterable[Life], *, leaving: Collection[Life] = ()
) -> list[Life]:
    """`new` instead of `old`, the groups of the same watcher; None: nobody knows what is in force, since an arbiter
    died in the midst of it. Groups of lives that are gone are left out. Those of `lives` that are `leaving` keep what
    they have, as far as the kernel lets them: less memory could kill them before their time.

    Returns the lives whose use v1 could not press below their new limit: they keep the old one. Raises CgroupError;
    then some of it is written, and the other way round puts it back.
    """
    lives = list(lives)
    fresh = {directory for _, directory in new.places if not os.path.isdir(directory)}
    for hierarchy, directory in new.places:
        new.make(hierarchy, directory)
    new.forget_creation()
    of_sum = [(h, d, _of_sum(old, new, h, d, d in fresh)) for h, d in new.places]
    for hierarchy, directory, found in of_sum:
        _put_all(hierarchy, directory, found.wider, careful=old is None)
    for wid, generation in lives:
        _join(new.worker(wid, generation))
    busy = {life for place in new.places for life in _of_lives(old, new, place, lives, leaving)}
    for hierarchy, directory, found in of_sum:
        _put_all(hierarchy, directory, found.narrower, careful=old is None)
    new.forget_creation()
    return sorted(busy)


def _of_sum(old: WatcherGroup | None, new: WatcherGroup, hierarchy: Hierarchy, directory: str, fresh: bool) -> Changes:
    if fresh:
        return Changes(new.settings_of_sum(hierarchy), ())
    before = None if old is None else old.sum
    thought = _here(changes(before, new.sum, hierarchy.version), hierarchy)
    return _changes(before, new.sum, hierarchy, directory, thought)


def _join(life: WorkerGroup) -> None:
    """Into the groups of v1 hierarchies that none of its limits needed so far."""
    missing = [directory for directory in life.directories if not os.path.isdir(directory)]
    there = [directory for directory in life.directories if directory not in missing]
    if not missing or not there or not _members(there[0]):
        return
    life.create_in(missing)
    for directory in missing:
        _move(there[0], directory)


def _move(source: str, target: str) -> None:
    """Everybody, and whom they fork meanwhile. What is in a group below comes into the outer one."""
    for _ in range(ROUNDS):
        left = _members(source) - _members(target)
        if not left:
            return
        for pid in left:
            try:
                files.write(target, "cgroup.procs", str(pid))
            except CgroupError as refused:
                if refused.errno not in GONE:
                    raise


def _members(directory: str) -> set[int]:
    return {pid for group in files.walk(directory) for pid in files.members(group)}


def _of_lives(
    old: WatcherGroup | None,
    new: WatcherGroup,
    place: tuple[Hierarchy, str],
    lives: list[Life],
    leaving: Collection[Life],
) -> Iterator[Life]:
    """Those that v1 could not press."""
    hierarchy, directory = place
    version = hierarchy.version
    before = None if old is None else effective(old.limits, old.sum, version)
    after = effective(new.limits, new.sum, version)
    thought = _here(changes(before, after, version), hierarchy)
    for wid, generation in lives if thought.all else ():
        group = f"{directory}/{wid}.{generation}"
        if not os.path.isdir(group):
            continue
        try:
            wanted = _changes(before, after, hierarchy, group, thought).all
            if (wid, generation) in leaving:
                wanted = tuple(setting for setting in wanted if version == 1 and setting.file in BOUND)
            _put_all(hierarchy, group, wanted, careful=old is None)
        except CgroupError as refused:
            if refused.errno == errno.EBUSY and version == 1:
                yield wid, generation
            elif refused.errno not in GONE:
                raise


def _changes(old: Limits | None, new: Limits, hierarchy: Hierarchy, directory: str, thought: Changes) -> Changes:
    """Of one group: `thought`, by what is in force there, since a change that was begun may have got anywhere."""
    ordered = ORDERED & {setting.file for setting in thought.all}
    read = {file: files.read(directory, file).strip() for file in ordered if files.exists(directory, file)}
    return _here(changes(old, new, hierarchy.version, read), hierarchy) if read else thought


def _here(found: Changes, hierarchy: Hierarchy) -> Changes:
    """What belongs into this hierarchy."""
    wider, narrower = (
        tuple(with_weight_file(hierarchy, one) for one in part if one.controller in hierarchy.controllers)
        for part in found
    )
    return Changes(wider, narrower)


def _put_all(hierarchy: Hierarchy, directory: str, wanted: Iterable[Setting], *, careful: bool) -> None:
    """`careful`: only into files that are there and say something else."""
    for setting in wanted:
        if careful and not files.exists(directory, setting.file):
            continue
        text = setting.text
        if text == INHERITED:
            text = "\n" if hierarchy.version == 2 else files.read(os.path.dirname(directory), setting.file).strip()
        if careful and files.read(directory, setting.file).strip() == text.strip():
            continue
        if hierarchy.version == 1:
            v1.put(hierarchy, directory, setting._replace(text=text))
        else:
            files.write(directory, setting.file, text)
