"""Whether another life follows one that ended by itself, or by us for a reason that is not an operator's."""

from __future__ import annotations

from signal import SIGHUP, SIGINT, SIGPIPE, SIGTERM

from circus_cg.core.state import Exit
from circus_cg.spec import WatcherSpec
from circus_cg.units import signal_number

CLEAN = frozenset({SIGHUP, SIGINT, SIGTERM, SIGPIPE})  # as systemd: who dies of these was asked to
RENEWALS = frozenset({"max-age", "memory", "pressure"})  # ends that are meant to be followed by a new life


def follows(spec: WatcherSpec, end: Exit) -> bool:
    """What a policy says of `end`. An end that no arbiter saw counts as a failure."""
    if spec.restart == "never":
        return False
    if end.reason in RENEWALS:
        return True
    if _is_among(spec.restart_prevent_exit_status, end):
        return False
    match spec.restart:
        case "on-failure":
            return not is_success(spec, end)
        case "on-abnormal":  # codes are the program's own affair
            return end.reason != "exited" and not is_success(spec, end)
        case _:
            return True


def is_success(spec: WatcherSpec, end: Exit) -> bool:
    """It ended by itself, with 0, by a signal that asks for it, or as `success_exit_status` says."""
    if end.reason not in ("exited", "signal"):
        return False
    return end.code == 0 or end.signal in CLEAN or _is_among(spec.success_exit_status, end)


def exit_code(end: Exit | None) -> int:
    """As a shell tells it: 128 and the signal; 127 for what never came to its exec."""
    if end is None:
        return 0
    if end.signal is not None:
        return 128 + end.signal
    if end.code is not None:
        return end.code
    return 127 if end.reason == "exec" else 1


def _is_among(statuses: tuple[int | str, ...], end: Exit) -> bool:
    """Numbers are codes, names are signals."""
    return any(
        end.code == status if isinstance(status, int) else end.signal == signal_number(status) for status in statuses
    )
