"""Lines on stderr that never block: a reader that sleeps must not stop the supervisor."""

import select
import sys

ATOMIC = 4096  # PIPE_BUF: a pipe that polls writable takes this much at once


def say(who: str, text: str) -> None:
    """Write one line, or drop it when stderr is full or closed."""
    line = f"circus-cg {who}: {text}\n".encode(errors="backslashreplace")[:ATOMIC]
    try:
        poll = select.poll()
        poll.register(sys.stderr.fileno(), select.POLLOUT)
        if poll.poll(0):
            sys.stderr.buffer.write(line)
            sys.stderr.buffer.flush()
    except (OSError, ValueError):
        return
