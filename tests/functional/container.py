"""A daemon as process 1 of a PID namespace of its own, in a mount namespace where its cgroups are spoilt."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
from pathlib import Path
from typing import Any, Self

from tests.conftest import SLOWNESS, until
from tests.functional.daemon import Daemon
from tests.functional.evidence import children_of

_EACH_MOUNT = "grep ' /sys/fs/cgroup' /proc/self/mounts | while read -r _ at _"
SPOILT = {
    "absent": "umount -R -l /sys/fs/cgroup 2>/dev/null || mount -t tmpfs none /sys/fs/cgroup",
    "read-only": f'{_EACH_MOUNT}; do mount -o remount,bind,ro "$at"; done',
    "its own": "true",
}


class Container(Daemon):
    """`pid` is the daemon's outside, where it is 1 inside."""

    def __init__(self, directory: Path, name: str, configuration: dict[str, Any], cgroups: str) -> None:
        super().__init__(directory, name, configuration)
        self._spoil = SPOILT[cgroups]

    @property
    def pid(self) -> int:
        assert self.process is not None
        outer = self.process
        inner = until(lambda: next(iter(children_of(outer.pid)), None), why="the container's first process")
        assert inner is not None
        return inner

    def start(self) -> Self:
        assert self.process is None, "the daemon runs already"
        inside = f"{self._spoil}; exec {shlex.quote(self.program)} run {shlex.quote(str(self.config))}"
        command = ["unshare", "--pid", "--fork", "--mount", "--mount-proc", "--kill-child", "sh", "-c", inside]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                command, env=self.environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        return self

    def terminate(self, seconds: float = 30) -> int:
        """As a container runtime does: SIGTERM to the first process."""
        assert self.process is not None
        os.kill(self.pid, signal.SIGTERM)
        return self.process.wait(seconds * SLOWNESS)
