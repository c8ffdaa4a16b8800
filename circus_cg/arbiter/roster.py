"""Who is supervised, and how that changes while the daemon runs: added, changed, removed. Said first, then done."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from msgspec.structs import replace

from circus_cg.arbiter import rolling
from circus_cg.arbiter.ground import findings, resolve
from circus_cg.arbiter.runner import WatcherRunner
from circus_cg.cgroup.group import WatcherGroup
from circus_cg.cgroup.relimit import Life, relimit
from circus_cg.core import plan
from circus_cg.core.tight import Used, too_tight
from circus_cg.errors import CgroupError, CircusCgError, HostError
from circus_cg.host.identity import Identity
from circus_cg.keeper.log import say
from circus_cg.spec import WatcherSpec

if TYPE_CHECKING:  # the arbiter is built on this
    from circus_cg.arbiter.arbiter import Arbiter

REMOVE_AGAIN = 0.2  # seconds; a group that was just emptied can refuse rmdir for an instant
REMOVALS = 25
IDENTITY = {"uid", "gid", "groups"}  # options that an Identity comes from


def rebuilt(arbiter: Arbiter, spec: WatcherSpec, *, held: bool) -> WatcherRunner | None:
    """A runner as a new arbiter begins with it; None: it was removed, and the keeper holds (`held`) nothing of it.

    What an operator said can't keep the arbiter from beginning.
    """
    said = arbiter.intents.of(spec.name)
    group = _group(arbiter, spec)
    if said.removed and not held:
        group.remove()
        _gone(arbiter, spec.name)
        return None
    if not said.removed:
        changed = said.added or said.changed or arbiter.boot.resealed or arbiter.lasting.of(spec.name)
        try:
            if changed:  # a dead arbiter may have been in the midst of it
                arbiter.tree.extend(group.controllers)
                if busy := relimit(None, group, group.lives()):
                    say("arbiter", f"{_busy_text(spec.name, busy)}; they keep the limits that they had")
            group.ensure()
        except CircusCgError as refused:
            if not changed:
                raise
            say("arbiter", f"cannot prepare the groups of {spec.name} as they were asked for: {refused}")
    return WatcherRunner(spec, _who(arbiter, spec), group, arbiter.shared)


def extend_the_tree(arbiter: Arbiter) -> None:
    """For what a configuration needs that was read again while the daemon ran. Raises CgroupError, HostError."""
    if arbiter.boot.resealed:
        groups = [_group(arbiter, spec) for spec in arbiter.boot.spec.watchers]
        arbiter.tree.extend(frozenset().union(*(group.controllers for group in groups)))


def recall(arbiter: Arbiter, held: set[str]) -> None:
    """Watchers that the keeper has and the configuration no more: known again, so that they end by their own rules."""
    for retired in arbiter.boot.retired:
        if retired.name in arbiter.runners:
            continue  # an operator has added it meanwhile
        spec = arbiter.intents.merged(retired)
        group = _group(arbiter, spec)
        if retired.name in held:
            arbiter.runners[spec.name] = WatcherRunner(spec, Identity(), group, arbiter.shared)
        else:
            group.remove()


def take_up(arbiter: Arbiter, runner: WatcherRunner) -> None:
    """What the dead arbiter was told to do with it, finished or begun."""
    name = runner.spec.name
    said = arbiter.intents.of(name)
    retired = not said.added and not _configured(arbiter, name)
    if said.removed or retired:
        remove(arbiter, runner)
        return
    runner.still(said.frozen)  # before anything else: who is asked to leave must be known to be frozen
    runner.want(arbiter.intents.wanted(runner.spec), arbiter.intents.numprocesses(runner.spec))
    runner.renew(said.renew)
    runner.renew(runner.outdated())
    arbiter.governors.adjust(runner)
    if said.rolling:
        arbiter.spawn_task(rolling.roll(arbiter, runner, said.rolling))


def add(arbiter: Arbiter, spec: WatcherSpec, *, start: bool, keep: Callable[..., None]) -> WatcherRunner:
    """A watcher of the running daemon. Raises HostError, CgroupError: then there is none."""
    arbiter.ordering.refuse(spec)
    who = resolve(spec)
    refuse_what_the_host_lacks(arbiter, spec)
    group = _group(arbiter, spec)
    keep(arbiter.intents.add, spec, who, start)
    try:
        arbiter.tree.extend(group.controllers)
        group.ensure()
    except CircusCgError:
        group.remove()
        keep(arbiter.intents.gone, spec.name, _configured(arbiter, spec.name))
        raise
    runner = arbiter.runners[spec.name] = WatcherRunner(spec, who, group, arbiter.shared)
    arbiter.journal.tell(spec.name, "add")
    runner.want(start, arbiter.intents.numprocesses(spec))
    arbiter.governors.adjust(runner)
    return runner


def admit(arbiter: Arbiter, spec: WatcherSpec) -> None:
    """A watcher that the configuration has now. Raises HostError, CgroupError: then there is none."""
    group = _group(arbiter, spec)
    try:
        arbiter.tree.extend(group.controllers)
        group.ensure()
    except CircusCgError:
        group.remove()
        raise
    runner = arbiter.runners[spec.name] = WatcherRunner(spec, _who(arbiter, spec), group, arbiter.shared)
    arbiter.journal.tell(spec.name, "add")
    take_up(arbiter, runner)


def change(
    arbiter: Arbiter, runner: WatcherRunner, spec: WatcherSpec, *, keep: Callable[..., None], force: bool = False
) -> plan.Plan:
    """`runner` by another spec, as an operator says. Raises HostError, CgroupError: then nothing is changed.

    `force`: limits below what is used, too: the kernel reclaims, or kills, or the worker gets a new life.
    """
    old = runner.current
    decided = plan.diff(old, spec)
    if not decided.changed:
        return decided
    if {"after", "requires"} & set(decided.changed):
        arbiter.ordering.refuse(spec)
    who = resolve(spec) if decided.renew else runner.identity
    if decided.regroup or decided.renew:
        refuse_what_the_host_lacks(arbiter, spec)
    if decided.regroup and not force:
        refuse_tight(runner, spec, "--force does it all the same: the kernel reclaims, or kills")
    before = arbiter.intents.of(spec.name)
    keep(arbiter.intents.change, old, spec, who, _stale(runner, decided))
    if old.autoscale is not None and spec.autoscale is None:  # what it came to stays
        keep(arbiter.intents.count, spec.name, spec.numprocesses)
    try:
        _carry_out(arbiter, runner, spec, who, decided, force=force)
    except CircusCgError:
        keep(arbiter.intents.put, spec.name, before)
        raise
    return decided


def become(arbiter: Arbiter, runner: WatcherRunner, spec: WatcherSpec) -> plan.Plan:
    """`runner` by another spec, as the configuration says: only the renewal is intent. Raises as `change`."""
    decided = plan.diff(runner.current, spec)
    if not decided.changed:
        return decided
    before = said = arbiter.intents.of(spec.name)
    said = replace(said, renew={**said.renew, **_stale(runner, decided)})
    if "autostart" in decided.changed and said.wanted is None:  # it is for the daemon's next start
        said = replace(said, wanted=runner.wanted)
    arbiter.intents.put(spec.name, said)
    try:
        _carry_out(arbiter, runner, spec, _who(arbiter, spec), decided)
    except CircusCgError:
        arbiter.intents.put(spec.name, before)
        raise
    return decided


def _stale(runner: WatcherRunner, decided: plan.Plan) -> dict[int, int]:
    return runner.lives() if decided.renew and runner.wanted else {}


def _carry_out(  # noqa: PLR0913 - all of a change
    arbiter: Arbiter,
    runner: WatcherRunner,
    spec: WatcherSpec,
    who: Identity,
    decided: plan.Plan,
    *,
    force: bool = False,
) -> None:
    """Raises HostError, CgroupError: then nothing was."""
    group, busy = runner.group, []
    if decided.regroup:
        alive = set(runner.lives().items())
        lives = group.lives() | alive  # whoever is on its way out is in the same groups, and is looked for in them
        leaving = lives if decided.renew and runner.wanted else lives - alive
        try:
            group = _group(arbiter, spec)
            arbiter.tree.extend(group.controllers)
            busy = [life for life in relimit(runner.group, group, lives, leaving=leaving) if life not in leaving]
            if busy and not force:
                raise HostError(_busy_text(spec.name, busy))
        except CircusCgError:
            _restore(arbiter, runner, group, lives, leaving)
            raise
    arbiter.journal.tell(spec.name, "change", ", ".join(decided.changed))  # names only: a value may be a secret
    runner.revise(spec, who, group)
    if decided.renew and runner.wanted:
        runner.restart(spec.numprocesses)  # those that wait or have failed try again too
    else:
        runner.want(runner.wanted, spec.numprocesses)
        runner.renew(dict(busy))  # born into the limit that it would not be pressed below
    arbiter.governors.adjust(runner)


def remove(arbiter: Arbiter, runner: WatcherRunner) -> None:
    """Stop it, remove its groups, make the keeper forget it. The next arbiter goes on with it."""
    name = runner.spec.name
    if name not in arbiter.leaving:
        arbiter.journal.tell(name, "remove")
        runner.want(False, runner.numprocesses)
        arbiter.leaving[name] = arbiter.spawn_task(_see_off(arbiter, runner))


async def _see_off(arbiter: Arbiter, runner: WatcherRunner) -> None:
    name = runner.spec.name
    await runner.settled(runner.is_down)
    for _ in range(REMOVALS):
        if runner.remove_groups():
            break
        await asyncio.sleep(REMOVE_AGAIN)
    runner.forget()
    del arbiter.runners[name], arbiter.leaving[name]
    arbiter.samples.forget(name)
    arbiter.governors.forget(name)
    _gone(arbiter, name)
    arbiter.journal.tell(name, "removed")


def refuse_what_the_host_lacks(arbiter: Arbiter, spec: WatcherSpec) -> None:
    """As at the daemon's start. Raises HostError."""
    found = list(findings(spec, arbiter.boot.layout))
    errors = [text for severity, text in found if severity == "error"]
    if errors and arbiter.boot.spec.on_missing == "refuse":
        raise HostError("; ".join(errors))
    for _, text in found:
        say("arbiter", f"warning: {spec.name}.{text}")


def refuse_tight(runner: WatcherRunner, new: WatcherSpec, remedy: str) -> None:
    """Limits below what is used now. Raises HostError."""
    old = runner.current
    decided = plan.diff(old, new)
    if not decided.regroup:
        return
    name = new.name
    lives = {} if decided.renew else runner.lives()
    used = [(f"{name}.{wid}", runner.group_of(wid, life).usage(pressure=False)) for wid, life in lives.items()]
    whole = runner.group.usage()
    workers = [Used(who, one.memory_current, one.pids) for who, one in used]
    if found := too_tight(old, new, workers, Used(name, whole.memory_current, whole.pids)):
        raise HostError(f"cannot set {name!r}: {'; '.join(found)}; {remedy}")


def _busy_text(name: str, busy: list[tuple[int, int]]) -> str:
    who = ", ".join(f"{name}.{wid}" for wid, _ in busy)
    return f"cannot set {name!r}: the kernel can't reclaim enough from {who}; --force gives them new lives"


def _gone(arbiter: Arbiter, name: str) -> None:
    try:
        arbiter.intents.gone(name, _configured(arbiter, name))
    except OSError as failed:  # the next arbiter finds nothing left of it, and tries this again
        say("arbiter", f"cannot forget what was asked of {name}: {failed}; free the state directory")


def _restore(
    arbiter: Arbiter, runner: WatcherRunner, tried: WatcherGroup, lives: set[Life], leaving: set[Life]
) -> None:
    """The limits of before, in whatever directories there are by now."""
    group = _group(arbiter, runner.current)
    try:
        relimit(tried, group, lives, leaving=leaving)
    except CgroupError as refused:
        say("arbiter", f"cannot put the limits of {group.name} back: {refused}")
    runner.revise(runner.spec, runner.identity, group)


def _group(arbiter: Arbiter, spec: WatcherSpec) -> WatcherGroup:
    return WatcherGroup(arbiter.tree, spec.name, spec.limits, spec.watcher_limits)


def _who(arbiter: Arbiter, spec: WatcherSpec) -> Identity:
    """As it was resolved when somebody said so; by `run`, or at a change."""
    said = arbiter.intents.of(spec.name)
    own = said.added is not None or not IDENTITY.isdisjoint(said.changed or {})
    return (said.identity if own else None) or arbiter.boot.identities.get(spec.name) or Identity()


def _configured(arbiter: Arbiter, name: str) -> bool:
    return arbiter.boot.spec.watcher(name) is not None
