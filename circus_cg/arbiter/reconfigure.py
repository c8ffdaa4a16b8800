"""The configuration of a running daemon replaced by what its file says now. What an operator said stays merged over it.

All is judged before anything is touched. Then the new configuration is on disk before anything is done about it, so
that the next arbiter goes on from there: it lasts as long as this daemon, as intent does.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec.structs import replace

from circus_cg.arbiter import roster
from circus_cg.arbiter.boot import ArbiterBoot, Reread
from circus_cg.arbiter.intent import write_private
from circus_cg.config import validate
from circus_cg.core import order
from circus_cg.errors import CircusCgError, ConfigError, HostError
from circus_cg.keeper.boot import IMAGE_FD, sealed_command
from circus_cg.keeper.log import say
from circus_cg.spec import WatcherSpec

if TYPE_CHECKING:  # the arbiter is built on this
    from circus_cg.arbiter.arbiter import Arbiter

PATIENCE = 60.0  # seconds for a parser
READER = "circus_cg.arbiter.reread"
FILE = "configuration.json"


class _Applied(msgspec.Struct, kw_only=True):
    """`instance` names the keeper it belongs to."""

    instance: str
    boot: ArbiterBoot


def latest(boot: ArbiterBoot, instance: str | None) -> ArbiterBoot:
    """As the keeper has it, or as it was read again since. `instance` None: whichever that is, it must be later.

    The endpoint's own key is always the keeper's, whatever an earlier version put down.
    """
    if boot.state is None:
        return boot
    try:
        applied = msgspec.json.decode((Path(boot.state) / FILE).read_bytes(), type=_Applied)
    except FileNotFoundError:
        return boot
    except (OSError, msgspec.DecodeError) as broken:
        say("arbiter", f"cannot read {FILE}: {broken}; the configuration of the daemon's start holds")
        return boot
    later = instance in (None, applied.instance) and applied.boot.sealed_at > boot.sealed_at
    return replace(applied.boot, network=boot.network) if later else boot


def put_down(boot: ArbiterBoot, instance: str) -> None:
    """For latest(), without the endpoint's own key: the file outlasts the daemon, and a key that is replaced."""
    if boot.state is not None:
        applied = _Applied(instance=instance, boot=replace(boot, network=None))
        write_private(Path(boot.state) / FILE, msgspec.json.encode(applied))


async def reread(arbiter: Arbiter) -> dict[str, Any]:
    """{"added", "removed": names, "changed": options by name, "failed": texts by name, "warnings"}.

    Raises ConfigError, HostError: then nothing is changed. One at a time; a second one waits for the first.
    """
    async with arbiter.reconfiguring:
        found = await _read(arbiter.boot)
        assert found.record is not None
        boot = replace(found.record, network=arbiter.boot.network)
        _refuse(arbiter, boot)
        put_down(boot, arbiter.instance)
        return {**_apply(arbiter, boot), "warnings": found.warnings}


async def _read(boot: ArbiterBoot) -> Reread:
    if boot.source is None:
        raise HostError("cannot read the configuration again: this daemon was not started from a file")
    try:
        done = await asyncio.to_thread(_parse, told_to_a_parser(boot), boot.environment)
        found = msgspec.json.decode(done.stdout, type=Reread)
    except subprocess.TimeoutExpired as late:
        raise HostError(f"cannot read the configuration again: not done in {PATIENCE:g} s; `check` shows why") from late
    except msgspec.DecodeError as broken:
        said = done.stderr.decode(errors="replace").strip().splitlines()[-1:] or ["it said nothing"]
        text = f"cannot read the configuration again: its parser ended with {done.returncode}: {said[0]}"
        raise HostError(text) from broken
    if found.record is None:
        raise (ConfigError(found.wrong.splitlines()) if found.code == ConfigError.code else HostError(found.wrong))
    return found


def told_to_a_parser(boot: ArbiterBoot) -> bytes:
    """But for the endpoint's own key, which is no business of its."""
    return msgspec.json.encode(replace(boot, network=None))


def _parse(given: bytes, environment: dict[str, str]) -> subprocess.CompletedProcess[bytes]:
    """By the code that runs, whatever is installed; $(circus.env.NAME) means the environment of the daemon's start."""
    return subprocess.run(
        sealed_command(sys.executable, READER),
        input=given,
        env=environment,
        pass_fds=[IMAGE_FD],
        capture_output=True,
        timeout=PATIENCE,
        check=False,
    )


def _refuse(arbiter: Arbiter, new: ArbiterBoot) -> None:
    """What can't be changed while this arbiter runs. Raises HostError."""
    if new.spec.control.audit != arbiter.boot.spec.control.audit:
        raise HostError("cannot change control.audit so: the keeper opens that file; `circus-cg ctl upgrade` does it")
    for spec in new.spec.watchers:
        if spec.name in arbiter.leaving:
            raise HostError(
                f"cannot read the configuration again yet: {spec.name!r} is being removed; wait for its end"
            )
        runner = arbiter.runners.get(spec.name)
        if runner is not None and not arbiter.intents.of(spec.name).removed:
            target = _target(arbiter, spec)
            _refuse_unfit(target)
            roster.refuse_tight(runner, target, "`circus-cg ctl set --force` can do it before")


def _refuse_unfit(target: WatcherSpec) -> None:
    """The file alone is right, and so was what was set. Raises HostError."""
    if wrong := [f"{'.'.join(found.path)}: {found.text}" for found in validate.alone(target)]:
        raise HostError(
            f"cannot read the configuration again: {target.name!r} was changed at run time, and together with the file"
            f" that is wrong: {'; '.join(wrong)}; `circus-cg ctl diff` shows what was set, `revert` takes it back"
        )


def _apply(arbiter: Arbiter, boot: ArbiterBoot) -> dict[str, Any]:
    old = arbiter.boot.spec
    done: dict[str, Any] = {"added": [], "removed": [], "changed": {}, "failed": {}}
    arbiter.boot = boot
    arbiter.relief.adjust()
    arbiter.udp_watchdogs.adjust()
    for spec in old.watchers:
        if boot.spec.watcher(spec.name) is None and _leave(arbiter, spec):
            done["removed"].append(spec.name)
    by_name = {spec.name: spec for spec in boot.spec.watchers}
    for spec in map(by_name.__getitem__, order.sequence(boot.spec.watchers)):
        try:
            _settle(arbiter, spec, done)
        except (CircusCgError, OSError) as refused:  # the host changed its mind since it was asked
            done["failed"][spec.name] = str(refused)
            say("arbiter", f"cannot make {spec.name} what the configuration says: {refused}", "error")
    for tell in arbiter.on_reread:
        tell()
    return done


def _leave(arbiter: Arbiter, spec: WatcherSpec) -> bool:
    """A watcher that is not of the configuration any more. What was added at run time under its name stays."""
    name = spec.name
    runner, said = arbiter.runners.get(name), arbiter.intents.of(name)
    if runner is None:
        arbiter.intents.put(name, None)  # it had been removed by hand before
        return False
    if said.added is not None:
        return False
    # Its rules must outlive this arbiter: it may take its graceful_timeout to leave.
    who = runner.identity
    arbiter.intents.put(name, replace(said, added=runner.spec, identity=who, removed=True, wanted=False))
    roster.remove(arbiter, runner)
    return True


def _settle(arbiter: Arbiter, spec: WatcherSpec, done: dict[str, Any]) -> None:
    name = spec.name
    if arbiter.intents.of(name).removed:
        return  # by hand; it stays removed as long as this daemon lives
    runner = arbiter.runners.get(name)
    if runner is None:
        roster.admit(arbiter, _target(arbiter, spec))
        done["added"].append(name)
        return
    decided = roster.become(arbiter, runner, _target(arbiter, spec))
    if decided.changed:
        done["changed"][name] = list(decided.changed)


def _target(arbiter: Arbiter, spec: WatcherSpec) -> WatcherSpec:
    """With what was said at run time over it."""
    merged = arbiter.intents.merged(spec)
    return replace(merged, numprocesses=arbiter.intents.numprocesses(merged))
