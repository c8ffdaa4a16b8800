"""loglevel, debug: the daemon itself."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
import traceback
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Any

from circus_cg.arbiter.arbiter import Arbiter
from circus_cg.arbiter.commands.target import Fields, keep
from circus_cg.keeper import log
from circus_cg.rpc import messages as rpc

ANSWERS_WITHIN = 2.0  # seconds; a keeper of an earlier version has no answer


async def loglevel(arbiter: Arbiter, asked: rpc.Level) -> Fields:
    """Of the arbiter's own lines, as long as the daemon lives."""
    if asked.level is not None:
        keep(arbiter.intents.say_level, asked.level)
        log.set_level(asked.level)
    return {"level": log.level()}


async def debug(arbiter: Arbiter, asked: rpc.Nothing) -> Fields:
    """Stacks, queues and counts of arbiter and keeper: for who looks for what holds them up. Names, never values."""
    return {"arbiter": _arbiter(arbiter), "keeper": await _keeper(arbiter)}


def _arbiter(arbiter: Arbiter) -> dict[str, Any]:
    tasks = sorted(asyncio.all_tasks(), key=lambda task: task.get_name())
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    return {
        **_process(os.getpid()),
        "tasks": {
            task.get_name(): [line for frame in task.get_stack() for line in _where(frame)[-1:]] for task in tasks
        },
        "threads": {str(names.get(ident, ident)): _where(frame) for ident, frame in sys._current_frames().items()},
        "queues": {
            "to_keeper": arbiter.keeper.backlog,
            "waiting_commands": sum(runner.waiting for runner in arbiter.runners.values()),
            "subscriptions": arbiter.feed.subscriptions,
            "sampling_for": arbiter.sampler.listeners,
            "executing": arbiter.execs.running,
            "events_kept": arbiter.journal.ring.next - arbiter.journal.ring.oldest,
        },
        "slots": {
            name: {phase.value: count for phase, count in runner.phases.items() if count}
            for name, runner in arbiter.runners.items()
        },
    }


async def _keeper(arbiter: Arbiter) -> dict[str, Any] | None:
    """None: it does not answer."""
    try:
        async with asyncio.timeout(ANSWERS_WITHIN):
            counts = await arbiter.ask_counts()
    except TimeoutError:
        return None
    return {**_process(counts.pop("pid")), **counts}


def _process(pid: int) -> dict[str, Any]:
    """`waits_in` is the kernel's function that it sleeps in."""
    found: dict[str, Any] = {"pid": pid}
    with suppress(OSError):
        found["descriptors"] = len(os.listdir(f"/proc/{pid}/fd"))
        found["waits_in"] = Path(f"/proc/{pid}/wchan").read_text() or None
        status = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
        found["memory"] = int(status["VmRSS"].split()[0]) * 1024  # bytes
        found["state"] = status["State"].strip()
    return found


def _where(frame: FrameType) -> list[str]:
    """Innermost last, without the source's text."""
    return [f"{place.filename}:{place.lineno} {place.name}" for place in traceback.extract_stack(frame)]
