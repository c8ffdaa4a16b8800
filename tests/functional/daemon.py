"""A real `circus-cg run` below a temporary directory, operated as a user would: by its command line."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import yaml

from tests.conftest import SLOWNESS, until
from tests.functional import zygote
from tests.scratch_groups import left_of, members_of

PROGRAM = str(Path(sys.executable).with_name("circus-cg"))  # the script as it was installed
Row = dict[str, Any]  # one worker, keys as the columns of `ctl ps`


def typed(
    command: list[str], environment: dict[str, str], stdin: str = "", seconds: float = 60
) -> subprocess.CompletedProcess[str]:
    """What becomes of a command of PROGRAM."""
    patience = seconds * SLOWNESS
    if not stdin:
        return zygote.run(command, environment, patience)
    return subprocess.run(
        command, env=environment, input=stdin, capture_output=True, text=True, timeout=patience, check=False
    )


class Refused(Exception):
    """`circus-cg ctl` exited with `status`."""

    def __init__(self, status: int, stderr: str) -> None:
        super().__init__(f"exit status {status}: {stderr.strip()}")
        self.status = status


class Daemon:
    """A context manager: leaving it stops the daemon and asserts that it left cleanly and left nothing."""

    def __init__(self, directory: Path, name: str, configuration: dict[str, Any], **environment: str) -> None:
        self.directory, self.name = directory, name
        self.config = directory / f"{name}.yaml"
        self.log = directory / f"{name}.log"
        self.environment = {
            **os.environ,
            "CIRCUS_CG_ROOT": "/",
            "CIRCUS_CG_RUNTIME_DIR": str(directory / "run"),
            "CIRCUS_CG_STATE_DIR": str(directory / "state"),
            **environment,
        }
        self.process: subprocess.Popen[bytes] | zygote.Started | None = None
        self.program = PROGRAM
        self.write_config(configuration)

    @property
    def pid(self) -> int:
        """The main process: the keeper."""
        assert self.process is not None, "the daemon was not started"
        return self.process.pid

    @property
    def output(self) -> str:
        """What daemon and workers wrote so far."""
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def write_config(self, configuration: dict[str, Any]) -> None:
        text = yaml.safe_dump({"name": self.name, **configuration}, sort_keys=False)
        self.config.touch(mode=0o600)
        self.config.write_text(text)

    def start(self, *, executed: bool = False) -> Self:
        """Start the process; it need not answer yet. `executed`: by the installed script, with Python's own start."""
        assert self.process is None, "the daemon runs already"
        with self.log.open("ab") as log:
            command = [self.program, "run", str(self.config)]
            if executed or self.program != PROGRAM:
                self.process = subprocess.Popen(
                    command, env=self.environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log
                )
            else:
                self.process = zygote.Started(command, self.environment, log.fileno())
        return self

    def wait_answering(self, seconds: float = 15) -> Self:
        def answers() -> bool:
            assert self.process is not None
            assert self.process.poll() is None, f"the daemon exited with {self.process.returncode}:\n{self.output}"
            return self._answers()

        until(answers, seconds, "the daemon to answer")
        return self

    def ctl(self, *arguments: str, seconds: float = 60) -> Any:
        """The parsed answer of `circus-cg ctl ARGUMENTS --json`. Raises Refused."""
        verb, *rest = arguments
        command = [self.program, "ctl", "--name", self.name, verb, "--json", *rest]
        if self.program == PROGRAM:
            done = zygote.run(command, self.environment, seconds * SLOWNESS)
        else:  # another version's, or in another place
            done = subprocess.run(
                command, env=self.environment, capture_output=True, text=True, timeout=seconds * SLOWNESS, check=False
            )
        if done.returncode != 0:
            raise Refused(done.returncode, done.stderr)
        return json.loads(done.stdout)

    def command(self, *arguments: str, stdin: str = "", seconds: float = 60) -> subprocess.CompletedProcess[str]:
        """`circus-cg ctl ARGUMENTS` as typed, whatever its end."""
        command = [PROGRAM, "ctl", "--name", self.name, *arguments]
        return typed(command, self.environment, stdin, seconds)

    def workers(self, watcher: str | None = None) -> list[Row]:
        rows: list[Row] = self.ctl("ps", *([watcher] if watcher else []))["workers"]
        return rows

    def wait_phase(self, watcher: str, phase: str = "ready", count: int = 1, seconds: float = 15) -> list[Row]:
        """Exactly `count` workers of `watcher` are in `phase`: their rows."""

        def there() -> list[Row] | None:
            rows = [row for row in self.workers(watcher) if row["phase"] == phase]
            return rows if len(rows) == count else None

        found = until(there, seconds, f"{count} x {watcher} {phase}; the daemon wrote:\n{self.output}")
        return found or []

    def terminate(self, seconds: float = 30) -> int:
        """SIGTERM, wait, and give the exit status."""
        assert self.process is not None, "the daemon was not started"
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(seconds * SLOWNESS)

    def __enter__(self) -> Self:
        self.start()
        try:
            self.wait_answering()
            self._wait_spawned()
            return self
        except BaseException:
            self._kill()
            raise

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            status = self.process.poll() if self.process else 0
            if status is None:
                status = self.terminate()
            assert status == 0, f"the daemon exited with {status}"
            assert not members_of(self.name), f"processes outlived the daemon: {members_of(self.name)}"
            assert not left_of(self.name), f"groups outlived the daemon: {left_of(self.name)}"
        except BaseException:
            self._kill()
            print(f"--- output of the daemon {self.name}\n{self.output}")
            raise
        if error is not None:
            print(f"--- output of the daemon {self.name}\n{self.output}")

    def _wait_spawned(self) -> None:
        """It answers before its launcher has: for a moment, the workers that it has asked for are there."""
        deadline = time.monotonic() + 2 * SLOWNESS
        with contextlib.suppress(Refused):
            while any(row["phase"] == "starting" and not row["pid"] for row in self.workers()):
                if time.monotonic() > deadline:
                    return
                time.sleep(0.01)

    def _answers(self) -> bool:
        if not Path(self.environment["CIRCUS_CG_RUNTIME_DIR"], self.name, "control.sock").exists():
            return False  # to ask would take from it the CPU that it starts with
        with contextlib.suppress(Refused):
            self.ctl("status", seconds=10)
            return True
        return False

    def _kill(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
