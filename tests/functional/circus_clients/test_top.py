"""circus-top on a terminal shows our watchers and their workers."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios

from tests.conftest import SLOWNESS, until
from tests.functional.circus_clients.conftest import circus_script
from tests.functional.daemon import Daemon

CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b[()][A-Z0-9]|\x1b[=>]|[\x0e\x0f]")


def test_circus_top_shows_our_workers(running: Daemon, pubsub: str) -> None:
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "120", "LINES": "40"}
    command = [*circus_script("circus-top"), "--endpoint", pubsub]
    top = subprocess.Popen(command, env=environment, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True)
    os.close(theirs)
    screen = ""

    def shown() -> bool:
        nonlocal screen
        while select.select([ours], [], [], 0)[0]:
            screen += os.read(ours, 65536).decode(errors="replace")
        text = CONTROL.sub(" ", screen)
        return all(str(row["pid"]) in text for row in rows) and "CPU (%)" in text and "(sum)" in text

    rows = running.workers()
    assert len(rows) == 3
    try:
        until(shown, 30, "all pids on the screen")
        assert top.poll() is None
    finally:
        top.send_signal(signal.SIGKILL)
        top.wait(20 * SLOWNESS)
        os.close(ours)
