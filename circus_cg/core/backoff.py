"""When the next life of a slot may begin, and what counts as flapping. All times in seconds."""

from circus_cg.spec import Backoff, Flapping

STABLE_LEAST, STABLE_MOST = 10.0, 60.0
EXEC_LEAST = 0.1  # an exec that fails costs a fork: never a hot loop, whatever the policy
HOST_LEAST = 0.25  # after an end for the host's sake: so long that whoever watches it can have its say


def is_stable(last_delay: float | None, uptime: float, min_uptime: float) -> bool:
    """A life that outlasts twice the delay before it (10 to 60 s) wipes the record clean."""
    patience = min(STABLE_MOST, max(STABLE_LEAST, 2 * (last_delay or 0.0)))
    return uptime >= max(patience, min_uptime)


def next_delay(policy: Backoff, last_delay: float | None, uptime: float, min_uptime: float) -> float:
    """Delay after an unasked-for exit, without jitter: 0 (after a good life), `initial`, doubling to `max`.

    `last_delay` is the previous answer, None when there is none or a stable life came between.
    """
    if policy.initial == 0:
        return 0.0
    if is_stable(last_delay, uptime, min_uptime):
        last_delay = None
    if last_delay is None:
        return 0.0 if uptime >= min_uptime else policy.initial
    return policy.initial if last_delay == 0 else min(policy.max, 2 * last_delay)


def exec_delay(policy: Backoff, last_delay: float | None) -> float:
    """Delay after a life that never came to its exec: the same curve, but never nothing."""
    least = max(policy.initial, EXEC_LEAST)
    return least if not last_delay else max(least, min(policy.max, 2 * last_delay))


def jittered(policy: Backoff, delay: float, draw: float) -> float:
    """`draw` in [0, 1) spreads the delay over [delay, delay * (1 + jitter))."""
    return delay * (1 + policy.jitter * draw)


def counted_exits(policy: Flapping, exits: tuple[float, ...], now: float) -> tuple[float, ...]:
    """The short lives' ends that still count: inside `window`, and no more of them than the rule needs."""
    if policy.attempts == 0:
        return ()
    return tuple(at for at in exits if now - at <= policy.window)[-policy.attempts :]


def is_flapping(policy: Flapping, exits: tuple[float, ...]) -> bool:
    """`exits` as counted_exits() left them."""
    return 0 < policy.attempts <= len(exits)


def is_exhausted(used: int, limit: int) -> bool:
    """More than `limit` tries were used; a negative limit never is."""
    return 0 <= limit < used
