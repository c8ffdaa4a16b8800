"""How many requests of one client are served, and when: a token bucket with a short queue, as one number a client.

The generic cell rate algorithm: instead of tokens, the instant at which the bucket would be full again.
"""

from __future__ import annotations

from typing import NamedTuple

SLACK = 1e-3  # of an interval: what adding up fractions of a second loses is less


class Rate(NamedTuple):
    per_second: float
    burst: int  # requests served at once after a pause, at least 1
    queue: int  # requests that may wait for their turn


def admit(full_at: float, rate: Rate, now: float) -> tuple[float, float | None]:
    """(the new `full_at`, seconds until the request's turn); None: refused, and then nothing changes.

    `full_at` is 0 for a client never seen before. Turns come in the order of the requests.
    """
    interval = 1.0 / rate.per_second
    full_at = max(full_at, now)
    wait = full_at - now - (rate.burst - 1) * interval
    if wait > (rate.queue + SLACK) * interval:
        return full_at, None
    return full_at + interval, wait if wait > SLACK * interval else 0.0
