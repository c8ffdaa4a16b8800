"""A decision as JSON has it: every input that it was made from; and which of them are worth telling."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from circus_cg.core.autoscale import Decision, Verdict
from circus_cg.core.room import Veto

SHARES = 32  # workers; of more only the extremes are told
AGAIN = 60.0  # seconds before the same obstacle is told again

# What comes and goes with each sample, or says that all is well: shown to who asks, and no event.
QUIET = frozenset(
    {Veto.NO_SAMPLE, Veto.TOO_SOON, Veto.UNMEASURED, Veto.PINNED, Veto.DEAD_BAND, Veto.GROW_WINDOW, Veto.SHRINK_WINDOW,
     Veto.AT_MIN, Veto.IN_FLIGHT}
)  # fmt: skip


def subject(decision: Decision) -> str:
    """What makes two decisions the same news."""
    if decision.verdict is not Verdict.HOLD:
        return f"{decision.verdict} {decision.proposed}"
    return f"hold {decision.veto}"


def is_news(decision: Decision, told: Mapping[str, float], now: float) -> bool:
    """`told`: when each subject was told last."""
    if decision.verdict is Verdict.HOLD and (decision.veto is None or decision.veto in QUIET):
        return False
    if decision.verdict is not Verdict.HOLD and not decision.dry_run:
        return True
    return now - told.get(subject(decision), float("-inf")) >= AGAIN


def text(decision: Decision) -> str:
    """One line, in circus's words: all are busy, add workers; bored, remove workers."""
    there = decision.load.wanted if decision.load is not None else decision.wanted
    proposed, reason = decision.proposed, decision.reason
    would = "would " if decision.dry_run else ""
    if there is None or proposed is None or proposed == there:
        return reason if decision.veto is None else f"{reason} [{decision.veto}]"
    what = f"{would}add {proposed - there}" if proposed > there else f"{would}remove {there - proposed}"
    return f"{what} of {there} workers: {reason}" if proposed < there else f"{what} to {there} workers: {reason}"


def inputs(decision: Decision) -> dict[str, Any]:
    """`count`: how many there are; what nobody could tell is left out."""
    found: dict[str, Any] = {
        "wanted": decision.wanted,
        "proposed": decision.proposed,
        "veto": None if decision.veto is None else str(decision.veto),
        "leaving": list(decision.leaving) or None,
        "peak": decision.peak,
        "shrink_window": decision.shrink_window,
        "dry_run": decision.dry_run or None,
    }
    if (load := decision.load) is not None:
        sample = load.sample
        shares = load.shares if len(load.shares) <= SHARES else {}
        found |= {
            "count": load.wanted,
            "seconds": load.seconds,
            "saturation": load.saturation,
            "work": load.work,
            "useful": load.useful,
            "measured": load.measured,
            "warming": load.warming or None,
            "unread": load.unread or None,
            "lost": load.lost or None,
            "flapping": load.flapping or None,
            "overrun": load.overrun or None,
            "throttled": load.throttled,
            "worker_throttled": load.worker_throttled or None,
            "quota_workers": load.quota_workers,
            "host_idle": load.host_idle,
            "shares": {str(wid): round(share, 3) for wid, share in shares.items()} or None,
            "least_busy": min(load.shares.values(), default=None),
            "busiest": max(load.shares.values(), default=None),
            "cpu_some": sample.cpu_some,
            "memory_some": sample.memory_some,
            "memory_full": sample.memory_full,
            "memory_current": sample.memory_current,
            "memory_limit": sample.memory_limit,
            "host_memory": sample.host_memory,
            "pids_current": sample.pids_current,
            "pids_max": sample.pids_max,
            "last_oom": sample.last_oom,
            "backlog": sample.backlog,
        }
    return {key: round(v, 3) if isinstance(v, float) else v for key, v in found.items() if v is not None}
