"""One thing that happened, as it is logged, kept, and told to whoever listens."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from circus_cg.core.state import Exit


class Record(NamedTuple):
    """Of a worker, or with `wid` 0 of its whole watcher. `cause` is the id of what led to it; 0 begins a chain.

    `kind`: of a worker core.effects.Kind; of a watcher add, start, reload, change, replace, stop (asked for), stopped
    (it is down), remove, removed, asked (an operator's command that something came of), refused (one that nothing did);
    of either decision: what a policy decided by itself.
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
    verdict: str = ""  # of a decision; `detail` is its reason
    inputs: Mapping[str, Any] | None = None  # of a decision: all that it was made from, as JSON has it
    root: int = 0  # id of the operator's command, or the decision, that it came of, however far away; 0: of none


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
        **({} if record.inputs is None else {"verdict": record.verdict, "inputs": dict(record.inputs)}),
        **({"root": record.root} if record.root else {}),
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
