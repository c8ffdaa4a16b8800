"""What `ps` and `status` show: one row a worker, read when asked for and never otherwise."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from circus_cg.arbiter.arbiter import Arbiter
from circus_cg.arbiter.runner import WatcherRunner
from circus_cg.core.record import exit_document
from circus_cg.core.slot import Phase, Slot
from circus_cg.core.state import Readiness
from circus_cg.core.watcher import status
from circus_cg.host import clock


def status_of(runner: WatcherRunner) -> str:
    return "starting" if runner.held is not None or runner.is_warming else status(runner.wanted, runner.phases)


def held(runners: Iterable[WatcherRunner]) -> dict[str, dict[str, str]]:
    """Why some of them do not begin, though they are wanted; nothing where none is held."""
    found = {runner.spec.name: runner.held.text for runner in runners if runner.held is not None}
    return {"held": found} if found else {}


async def worker_rows(arbiter: Arbiter, runner: WatcherRunner) -> list[dict[str, Any]]:
    """Slots that are wanted or still hold something, by wid."""
    rows = []
    for wid in sorted(runner.slots):
        await arbiter.pace.rest()
        slot = runner.slots.get(wid)
        if slot is not None and (slot.wanted or slot.phase is not Phase.IDLE):
            rows.append(_row(runner, slot))
    return rows


def _row(runner: WatcherRunner, slot: Slot) -> dict[str, Any]:
    row: dict[str, Any] = {
        "watcher": runner.spec.name,
        "wid": slot.wid,
        "generation": slot.generation,
        "pid": slot.pid if slot.alive else None,
        "phase": slot.phase.value,
        "frozen": slot.frozen,
        "ready": slot.serving,
        **_said(slot),
        "unwell": runner.health.unwell(slot),
        "cgroup": None,
        "started": _wall(slot.started) if slot.alive else None,
        "restarts": slot.restarts,
        "last_exit": None if slot.last_exit is None else exit_document(slot.last_exit, clock.wall_offset()),
        "memory_current": None,
        "memory_peak": None,
        "cpu_seconds": None,
    }
    if slot.phase in (Phase.STARTING, Phase.READY, Phase.STOPPING) and slot.generation:
        group = runner.group_of(slot.wid, slot.generation)
        usage = group.usage(pressure=False)
        row |= {"cgroup": group.label or None, "memory_current": usage.memory_current, "memory_peak": usage.memory_peak}
        row["cpu_seconds"] = usage.cpu_seconds
    return row


def _said(slot: Slot) -> dict[str, Any]:
    """What it says of itself, and which of its readiness checks it does not pass."""
    said = slot.readiness if slot.alive else Readiness()
    return {
        "status": said.status or None,
        "says": [word for word in ("reloading", "stopping") if getattr(said, word)],
        "main_pid": said.main_pid,
        "watchdog": said.period or None,
    }


def _wall(monotonic: float | None) -> float | None:
    """Seconds since the epoch of an instant on the loop's clock."""
    return None if monotonic is None else monotonic + clock.wall_offset()
