"""A real unit of the guest's own systemd, installed and operated as an administrator would."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pytest
import yaml

from tests.conftest import SLOWNESS, until
from tests.functional import zygote
from tests.functional.daemon import PROGRAM, Row
from tests.functional.evidence import alive, arbiter_of
from tests.scratch_groups import mounts

# These tests install units, reach for all memory and change other services: for a machine that can be thrown away.
# Inside, a skip is as bad as anywhere.
in_guest_of_our_own = (
    []
    if "CIRCUS_CG_VISIT" in os.environ
    else [
        pytest.mark.host_may_lack("a booted systemd that may be broken"),
        pytest.mark.skip(reason="only in a guest that ./dev vm booted"),
    ]
)
CONFIG = Path("/etc/circus-cg")
ENVIRONMENT = {key: value for key, value in os.environ.items() if not key.startswith("CIRCUS_CG_")}


def command(*words: str, seconds: float = 120, environment: dict[str, str] | None = None) -> str:
    """What it wrote to stdout; it must succeed."""
    done = ended(*words, seconds=seconds, environment=environment)
    assert done.returncode == 0, f"{words}: status {done.returncode}: {done.stderr or done.stdout}"
    return done.stdout


def ended(
    *words: str, seconds: float = 120, environment: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    if words[0] == PROGRAM:
        return zygote.run([*words], environment or ENVIRONMENT, seconds * SLOWNESS)
    return subprocess.run(
        words, capture_output=True, text=True, check=False, env=environment or ENVIRONMENT, timeout=seconds * SLOWNESS
    )


def unit_of(pid: int) -> str:
    """The unit that systemd itself counts the process to."""
    return command("systemctl", "status", "--lines=0", "--no-pager", str(pid)).split()[1]


def groups_of(pid: int) -> set[str]:
    return {line.split(":", 2)[2] for line in Path(f"/proc/{pid}/cgroup").read_text().splitlines()}


def group_in_systemds_tree(pid: int) -> str:
    rows = [line.split(":", 2) for line in Path(f"/proc/{pid}/cgroup").read_text().splitlines()]
    paths = {names: path for _, names, path in rows}
    return paths.get("", paths.get("name=systemd", ""))


class Service:
    """`circus-cg-NAME.service`; leaving the context stops it and asserts that no group or process of it is left."""

    def __init__(self, name: str, watchers: dict[str, Any], *, overrides: str = "", **configuration: Any) -> None:
        self.name, self.unit, self.program = name, f"circus-cg-{name}.service", PROGRAM
        self.config = CONFIG / f"{name}.yaml"
        self.config.touch(mode=0o600)
        self.write_config(watchers, **configuration)
        self._drop_in = Path(f"/run/systemd/system/{self.unit}.d")
        if overrides:
            self._drop_in.mkdir(parents=True)
            (self._drop_in / "test.conf").write_text(f"[Service]\n{overrides}\n")

    def write_config(self, watchers: dict[str, Any], **configuration: Any) -> None:
        whole = {"name": self.name, **configuration, "watchers": watchers}
        self.config.write_text(yaml.safe_dump(whole, sort_keys=False))

    def systemctl(self, verb: str, *words: str, seconds: float = 120) -> None:
        command("systemctl", verb, *words, self.unit, seconds=seconds)

    def show(self, key: str) -> str:
        return command("systemctl", "show", "--value", f"--property={key}", self.unit).strip()

    @property
    def pid(self) -> int:
        return int(self.show("MainPID"))

    def arbiter(self) -> int:
        return until(lambda: arbiter_of(self.pid), why="an arbiter")

    def ctl(self, *arguments: str) -> Any:
        return json.loads(command(self.program, "ctl", "--name", self.name, *arguments, "--json"))

    def workers(self, count: int, watcher: str = "w", fresh: Callable[[Row], bool] = lambda row: True) -> list[Row]:
        """Exactly so many workers are ready, and each is `fresh`."""

        def there() -> list[Row] | None:
            rows = [row for row in self.rows(watcher) if row["phase"] == "ready" and fresh(row)]
            return rows if len(rows) == count else None

        return until(there, 20, f"{count} ready workers of {watcher}") or []

    def rows(self, watcher: str) -> list[Row]:
        """None of them while nobody answers: between two arbiters, or when the machine is out of breath."""
        done = ended(self.program, "ctl", "--name", self.name, "ps", watcher, "--json", seconds=60)
        rows: list[Row] = json.loads(done.stdout)["workers"] if done.returncode == 0 else []
        return rows

    def wait_restarted(self, seconds: float) -> None:
        """systemd has started it anew, once. By its journal: a daemon-reload doubles NRestarts."""
        until(lambda: int(self.show("NRestarts")) > 0 and self.show("ActiveState") == "active", seconds, "the restart")
        assert self._starts() == 2

    def _starts(self) -> int:
        command("journalctl", "--sync")
        lines = command("journalctl", "--no-pager", "--output=cat", "--unit", self.unit).splitlines()
        return sum(line.startswith(f"Starting {self.unit}") for line in lines)

    def first_end(self, watcher: str, seconds: float = 60) -> Row:
        """How the watcher's worker ended."""
        found = until(lambda: [r["last_exit"] for r in self.rows(watcher) if r["last_exit"]], seconds, "an end") or []
        return found[0]

    def groups(self) -> list[Path]:
        """Those of the unit and below, in any hierarchy."""
        return [found for mount in mounts() for found in mount.glob(f"*.slice/{self.unit}/**/")]

    def __enter__(self) -> Self:
        command(self.program, "install-unit", "--config", str(self.config))
        try:
            self.systemctl("start")
        except BaseException:
            self._tidy()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            print(command("journalctl", "--no-pager", "--lines=100", "--unit", self.unit))
        pids = {int(pid) for group in self.groups() for pid in (group / "cgroup.procs").read_text().split()}
        try:
            self.systemctl("stop")
            assert not [pid for pid in pids if alive(pid)], "processes outlived the service"
            until(lambda: not self.groups(), why=f"the groups to be gone: {self.groups()}")
        finally:
            self._tidy()

    def _tidy(self) -> None:
        command("systemctl", "stop", self.unit)
        subprocess.run(["systemctl", "reset-failed", self.unit], check=False, capture_output=True)
        shutil.rmtree(self._drop_in, ignore_errors=True)
        Path("/etc/systemd/system", self.unit).unlink(missing_ok=True)
        self.config.unlink()
        command("systemctl", "daemon-reload")
