"""Whom a command concerns, and when it is done."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from circus_cg.arbiter.arbiter import Arbiter
from circus_cg.arbiter.report import status_of
from circus_cg.arbiter.runner import WatcherRunner
from circus_cg.keeper.log import say
from circus_cg.rpc import messages as rpc

Fields = dict[str, Any]


def runner_of(arbiter: Arbiter, name: str) -> WatcherRunner:
    runner = arbiter.runners.get(name)
    if runner is None:
        known = ", ".join(sorted(arbiter.runners)) or "none"
        raise rpc.BadMessage(rpc.Errno.COMMAND_ERROR, f"program {name} not found; watchers here: {known}")
    return runner


def runners_of(arbiter: Arbiter, name: str | None) -> list[WatcherRunner]:
    return list(arbiter.runners.values()) if name is None else [runner_of(arbiter, name)]


def refuse_while_stopping(arbiter: Arbiter) -> None:
    if arbiter.stopping:
        raise rpc.BadMessage(rpc.Errno.COMMAND_ERROR, "cannot start anything: the daemon is stopping")


def keep(say_it: Callable[..., None], name: str, *what: object) -> None:
    """An operator in need is obeyed though the disk is full: then it holds until this arbiter dies."""
    try:
        say_it(name, *what)
    except OSError as failed:
        text = f"cannot keep what was asked of {name} for the next arbiter: {failed}; free the state directory"
        say("arbiter", text)


async def settled(waiting: bool, runners: list[WatcherRunner], condition: Callable[[WatcherRunner], bool]) -> Fields:
    """Nothing, at once; with `waiting` the statuses, once `condition` holds for each."""
    if not waiting:
        return {}
    for runner in runners:
        await runner.settled(lambda r=runner: condition(r))  # type: ignore[misc]
    return {"statuses": {runner.spec.name: status_of(runner) for runner in runners}}


def is_down_or_wanted(runner: WatcherRunner) -> bool:
    """Somebody who started it again has ended the wait for its end."""
    return runner.is_down() or runner.wanted
