"""One thing that happened, as it is logged, kept, and told to whoever listens."""

from __future__ import annotations

from typing import Any, NamedTuple

from circus_cg.core.state import Exit


class Record(NamedTuple):
    """Of a worker, or with `wid` 0 of its whole watcher. `cause` is the id of what led to it; 0 begins a chain.

    `kind`: of a worker core.effects.Kind; of a watcher add, start, reload, change, replace, stop (asked for), stopped
    (it is down), remove, removed.
    """

    id: int
    cause: int
    at: float  # wall clock, seconds
    watcher: str
    wid: int
    kind: str
    detail: str
    generation: int = 0  # 0: it is about no life
    pid: int | None = None
    exit: Exit | None = None
    seq: int = 0  # the journal numbers them without a hole


def document(record: Record, wall_offset: float) -> dict[str, Any]:
    """As JSON. `wall_offset`: what is added to an instant of the exit's clock to make seconds since the epoch."""
    return {
        "seq": record.seq,
        "id": record.id,
        "cause": record.cause,
        "at": record.at,
        "watcher": record.watcher,
        "wid": record.wid or None,
        "kind": record.kind,
        "detail": record.detail,
        "generation": record.generation or None,
        "pid": record.pid,
        "exit": None if record.exit is None else exit_document(record.exit, wall_offset),
    }


def exit_document(end: Exit, wall_offset: float) -> dict[str, Any]:
    return {
        "code": end.code,
        "signal": end.signal,
        "reason": end.reason,
        "detail": end.detail,
        "uptime": end.uptime,
        "at": end.at + wall_offset,
        "peak": end.peak,
    }
