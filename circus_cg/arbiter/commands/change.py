"""add, rm, set: watchers made, unmade and changed while the daemon runs."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from typing import Any

from circus_cg.arbiter import roster
from circus_cg.arbiter.arbiter import Arbiter
from circus_cg.arbiter.commands.target import Fields, keep, runner_of, settled, to_start
from circus_cg.arbiter.lasting import configured_alone
from circus_cg.arbiter.runner import WatcherRunner
from circus_cg.config.options import chosen, plain, revised
from circus_cg.config.words import command_words
from circus_cg.core import plan
from circus_cg.core.choice import choose
from circus_cg.core.dotted import at, concerns, put
from circus_cg.errors import CircusCgError, ConfigError, HostError
from circus_cg.rpc import messages as rpc
from circus_cg.rpc.messages import BadMessage, Errno
from circus_cg.spec import WatcherSpec


async def add(arbiter: Arbiter, asked: rpc.Add) -> Fields:
    to_start(arbiter, [])
    if taken := choose(arbiter.runners, [asked.name], "simple").names:
        what = "being removed; wait" if taken[0] in arbiter.leaving else "it is there; remove it first, or use set"
        raise BadMessage(Errno.COMMAND_ERROR, f"cannot add {asked.name!r}: {what}")
    doing = f"add {asked.name[:64]!r}"
    try:
        words = _words(asked.cmd) + _words(asked.args)
    except ValueError as wrong:
        raise BadMessage(Errno.BAD_MSG_DATA, f"cannot {doing}: cmd: {wrong}") from wrong
    spec = _revised(WatcherSpec(name=asked.name, cmd=words), asked.options, doing)
    try:
        runner = roster.add(arbiter, spec, start=asked.start, keep=keep)
    except CircusCgError as refused:
        raise _refusal(doing, refused) from refused
    return await settled(asked.waiting, [runner], WatcherRunner.is_up)


async def rm(arbiter: Arbiter, asked: rpc.Rm) -> Fields:
    runner = runner_of(arbiter, asked.name)
    name = runner.spec.name
    if asked.nostop:
        raise BadMessage(
            Errno.COMMAND_ERROR,
            f"cannot remove {name!r} without stopping it: a worker always has a supervisor; leave nostop out",
        )
    if name not in arbiter.leaving:
        keep(arbiter.intents.remove, name)
        roster.remove(arbiter, runner)
    if asked.waiting:
        await asyncio.shield(arbiter.leaving[name])
    return {}


async def set_(arbiter: Arbiter, asked: rpc.Set) -> Fields:
    """`changed` names the options that are others now; `action` is circus's: 1 the workers are renewed, 0 the count is
    seen to, -1 nothing but the options. `lasting`: those that are kept beyond the daemon, by name.
    """
    runner = runner_of(arbiter, asked.name)
    to_start(arbiter, [runner])
    doing = f"set {runner.spec.name!r}"
    spec = _revised(runner.current, asked.options, doing)
    configured = _to_keep(arbiter, spec.name, list(asked.options), doing) if asked.persist else None
    fields = _become(arbiter, runner, spec, doing, force=asked.force)
    if "numprocesses" in fields["changed"]:
        arbiter.governors.pin(spec.name)
    if configured is not None:
        _keep_lasting(arbiter, configured, spec, list(asked.options))
        fields["lasting"] = arbiter.lasting.of(spec.name)
    return {**fields, **await settled(asked.waiting, [runner], WatcherRunner.is_up)}


async def revert(arbiter: Arbiter, asked: rpc.Revert) -> Fields:
    """As set, to what is configured; and from then on it is whatever is configured."""
    runner = runner_of(arbiter, asked.name)
    to_start(arbiter, [runner])
    name = runner.spec.name
    configured = arbiter.boot.spec.watcher(name)
    if configured is None or arbiter.intents.of(name).added is not None:
        text = f"cannot revert {name!r}: it was added at run time, so nothing of it is configured; use set, or rm"
        raise BadMessage(Errno.COMMAND_ERROR, text)
    differing = plan.diff(configured, runner.current).changed
    said = arbiter.intents.of(name).options
    keys = [*differing, *arbiter.lasting.of(name), *said, "numprocesses"] if asked.keys is None else asked.keys
    meant = {one: [key for key in differing if concerns([one], key)] for one in keys}
    nothing = [one for one in asked.keys or () if not meant[one] and not _can_go(one, differing, said)]
    _refuse_unknown(configured, nothing, f"revert {name!r}")
    spec = put(runner.current, {key: at(configured, key) for found in meant.values() for key in found})
    fields = _become(arbiter, runner, spec, f"revert {name!r}", force=asked.force)
    _keep_lasting(arbiter, configured, configured, keys)
    keep(arbiter.intents.unsay, runner.current, keys)
    if concerns(keys, "numprocesses"):
        arbiter.governors.unpin(name)
    return {**fields, **await settled(asked.waiting, [runner], WatcherRunner.is_up)}


def _can_go(one: str, differing: Collection[str], said: Collection[str]) -> bool:
    """It was said, and what is configured has it: no part goes alone of a whole (a policy) that the file has not."""
    return one.partition(".")[0] not in differing and any(concerns([one], key) for key in said)


def _refuse_unknown(spec: WatcherSpec, keys: list[str], doing: str) -> None:
    """Raises BadMessage."""
    try:
        chosen(plain(spec), keys)
    except ConfigError as wrong:
        raise BadMessage(Errno.BAD_MSG_DATA, f"cannot {doing}: {'; '.join(wrong.problems)}") from wrong


def _become(arbiter: Arbiter, runner: WatcherRunner, spec: WatcherSpec, doing: str, *, force: bool) -> Fields:
    try:
        decided = roster.change(arbiter, runner, spec, keep=keep, force=force)
    except CircusCgError as refused:
        raise _refusal(doing, refused) from refused
    return {"changed": list(decided.changed), "action": 1 if decided.renew else 0 if decided.recount else -1}


def _to_keep(arbiter: Arbiter, name: str, keys: list[str], doing: str) -> WatcherSpec:
    """What is configured, if these options can be kept over it. Raises BadMessage."""
    configured = arbiter.boot.spec.watcher(name)
    if not arbiter.lasting.is_possible:
        why = "nothing of these workers lives on disk; the program that runs them keeps what it wants kept"
    elif configured is None or arbiter.intents.of(name).added is not None:
        why = "it was added at run time; write it into the configuration"
    elif alone := configured_alone(keys):
        why = f"{', '.join(alone)} is for the configuration alone to say; write it there"
    else:
        return configured
    raise BadMessage(Errno.COMMAND_ERROR, f"cannot {doing} to last: {why}")


def _keep_lasting(arbiter: Arbiter, configured: WatcherSpec, now: WatcherSpec, keys: list[str]) -> None:
    try:
        arbiter.lasting.keep(configured, now, keys)
    except OSError as failed:
        raise HostError(
            f"{now.name!r} is set, but not to last: {failed.strerror}; free the state directory, and set it again"
        ) from failed


def _words(given: str | list[str] | None) -> tuple[str, ...]:
    if given is None:
        return ()
    return command_words(given) if isinstance(given, str) else tuple(given)


def _revised(spec: WatcherSpec, options: dict[str, Any], doing: str) -> WatcherSpec:
    try:
        return revised(spec, options)
    except ConfigError as wrong:
        raise BadMessage(Errno.BAD_MSG_DATA, f"cannot {doing}: {'; '.join(wrong.problems)}") from wrong


def _refusal(doing: str, refused: CircusCgError) -> HostError:
    text = str(refused)
    return HostError(text if text.startswith(f"cannot {doing}") else f"cannot {doing}: {text}")
