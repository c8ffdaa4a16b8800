"""Workers that say what a test tells them to say, as datagrams to their notify socket."""

from __future__ import annotations

import os
from pathlib import Path

from tests.functional.evidence import python

_TALK = """
import os, socket, sys
heard, environment = sys.argv[1:3]
with open(environment + ".part", "w") as file:
    for name in ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"):
        file.write(name + "=" + os.environ.get(name, "") + "\\n")
    file.write("PID=%d\\n" % os.getpid())
os.rename(environment + ".part", environment)
line = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
while True:
    with open(heard) as words:
        for word in words:
            line.sendto(word.rstrip("\\n").replace("|", "\\n").encode(), os.environ["NOTIFY_SOCKET"])
"""


class Talker:
    """`cmd` is the worker's command; there is one worker of it at a time."""

    def __init__(self, directory: Path, name: str = "talker") -> None:
        self._words = directory / f"{name}.words"
        self._environment = directory / f"{name}.environment"
        os.mkfifo(self._words)
        os.chmod(self._words, 0o666)
        self.cmd = [*python(_TALK), str(self._words), str(self._environment)]

    def say(self, *words: str) -> None:
        """Each a datagram, `|` for its newlines. Waits until the worker is there to be told."""
        with self._words.open("w") as file:
            file.writelines(f"{word}\n" for word in words)

    @property
    def environment(self) -> dict[str, str]:
        """{} until it runs."""
        if not self._environment.exists():
            return {}
        return dict(line.split("=", 1) for line in self._environment.read_text().splitlines())

    def forget(self) -> None:
        self._environment.unlink()
