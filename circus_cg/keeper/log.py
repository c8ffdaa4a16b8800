"""Lines on stderr that never block: a reader that sleeps must not stop the supervisor."""

import os
import select
from contextlib import suppress

STDERR = 2
ATOMIC = 4096  # PIPE_BUF: a pipe that polls writable takes this much at once


_ready = select.poll()
_ready.register(STDERR, select.POLLOUT)


def say(who: str, text: str) -> None:
    """Write one line, or drop it when stderr is full or closed."""
    line = f"circus-cg {who}: {text}\n".encode(errors="backslashreplace")[:ATOMIC]
    with suppress(OSError):
        if _ready.poll(0):
            os.write(STDERR, line)
