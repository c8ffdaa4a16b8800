"""Whom a command concerns, and when it is done."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from circus_cg.arbiter.arbiter import Arbiter
from circus_cg.arbiter.intent import keep
from circus_cg.arbiter.report import held, status_of
from circus_cg.arbiter.runner import WatcherRunner
from circus_cg.core.choice import Choice, choose, nearest
from circus_cg.core.slot import Slot
from circus_cg.rpc import messages as rpc
from circus_cg.rpc.messages import BadMessage, Errno

__all__ = [
    "Fields",
    "choice_of",
    "is_down_or_wanted",
    "keep",
    "runner_of",
    "runners_of",
    "settled",
    "to_start",
    "workers_of",
]

Fields = dict[str, Any]


def runner_of(arbiter: Arbiter, name: str) -> WatcherRunner:
    (runner,) = runners_of(arbiter, name, "simple")
    return runner


def runners_of(arbiter: Arbiter, names: rpc.Names, match: rpc.Match) -> list[WatcherRunner]:
    """In the daemon's order. Raises BadMessage for a name that means none."""
    choice = choice_of(arbiter, names, match)
    if choice.missing:
        raise _not_found(arbiter, choice.missing)
    return [arbiter.runners[name] for name in choice.names]


def choice_of(arbiter: Arbiter, names: rpc.Names, match: rpc.Match) -> Choice:
    """Raises BadMessage for what is no pattern."""
    if names is None:
        return Choice(list(arbiter.runners), [])
    try:
        return choose(arbiter.runners, [names] if isinstance(names, str) else names, match)
    except ValueError as wrong:
        raise BadMessage(Errno.BAD_MSG_DATA, f"cannot find a watcher: {wrong}") from wrong


def to_start(arbiter: Arbiter, runners: list[WatcherRunner]) -> None:
    """Raises BadMessage where nothing may begin any more."""
    if arbiter.stopping:
        raise BadMessage(Errno.COMMAND_ERROR, "cannot start anything: the daemon is stopping")
    if leaving := [runner.spec.name for runner in runners if runner.spec.name in arbiter.leaving]:
        raise BadMessage(Errno.COMMAND_ERROR, f"cannot change {', '.join(leaving)}: being removed; wait, then add anew")


def workers_of(runner: WatcherRunner, wid: int | None, pid: int | None, verb: str) -> list[Slot]:
    """Those that live, or the one that is named. Raises BadMessage if there is none."""
    living = [slot for slot in runner.slots.values() if slot.alive and slot.pid is not None]
    chosen = [slot for slot in living if wid in (None, slot.wid) and pid in (None, slot.pid)]
    if not chosen:
        which = f"no worker {wid if wid is not None else f'with pid {pid}'}" if wid or pid else "no worker"
        raise BadMessage(
            Errno.COMMAND_ERROR, f"cannot {verb} {runner.spec.name!r}: {which} is running; `ps` shows who is"
        )
    return chosen


async def settled(waiting: bool, runners: list[WatcherRunner], condition: Callable[[WatcherRunner], bool]) -> Fields:
    """Nothing, at once; with `waiting` the statuses, once `condition` holds for each."""
    if not waiting:
        return {}
    for runner in runners:
        await runner.settled(lambda r=runner: condition(r))  # type: ignore[misc]
    return {"statuses": {runner.spec.name: status_of(runner) for runner in runners}, **held(runners)}


def is_down_or_wanted(runner: WatcherRunner) -> bool:
    """Somebody who started it again has ended the wait for its end."""
    return runner.is_down() or runner.wanted


def _not_found(arbiter: Arbiter, missing: list[str]) -> BadMessage:
    shown = [name[:64] if name.isprintable() else ascii(name[:64]) for name in missing]
    guess = nearest(arbiter.runners, missing[0]) if len(missing) == 1 else None
    known = ", ".join(sorted(arbiter.runners)[:20]) or "none"
    hint = f"did you mean {guess}? " if guess else ""
    return BadMessage(Errno.COMMAND_ERROR, f"program {', '.join(shown)} not found; {hint}watchers here: {known}")
