"""The one place that reads the time, for everything but the keeper."""

import time

now = time.monotonic  # the loop's clock and the keeper's too: exits and deadlines compare
wall = time.time
sleep = time.sleep


def wall_offset() -> float:
    """What makes seconds since the epoch of an instant of now()."""
    return wall() - now()
