"""A daemon with one watcher, whose workers are stress-ng and share a demand; and what it says of its decisions."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from msgspec.structs import asdict

from bench import systems as s
from bench.live.scenarios import MOST, POLICY, UNIT, Scenario
from bench.live.verdicts import Thought, Verdict
from bench.world import PATIENCE, World

WORKER = Path(__file__).with_name("worker.sh")
CRASH_PAUSE = 3.0  # seconds in backoff: nearly all the time of a worker that ends at once
OFTEN = 0.1


class Watched(s.Ours):
    """One watcher `w` with the policy of the scenarios."""

    name = "live"

    def __init__(self, world: World, scenario: Scenario, label: str) -> None:
        super().__init__(world, scenario.begin, label)
        self.scenario = scenario
        self.desk = self.home / "desk"
        self.desk.mkdir(mode=0o700)
        for wid in range(1, MOST + 1):
            os.mkfifo(self.desk / str(wid), 0o600)
        self._seen = 0

    def watcher(self) -> dict[str, Any]:
        quota = self.scenario.quota
        return {
            "cmd": ["sh", str(WORKER), str(self.desk), "$(circus.wid)"],
            "numprocesses": self.workers,
            "autoscale": {**asdict(POLICY), "min": self.scenario.least},
            "limits": {"cpu_max": UNIT},
            "watcher_limits": {} if quota is None else {"cpu_max": quota * UNIT},
            "backoff": {"initial": CRASH_PAUSE, "max": CRASH_PAUSE, "jitter": 0},
            "flapping": {"attempts": 0},
        }

    def start(self) -> float:
        """Seconds until it answers."""
        begun = time.monotonic()
        self.process = subprocess.Popen(
            self.argv(), stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log, env=self.environment()
        )
        while self.process.poll() is None and time.monotonic() - begun < PATIENCE:
            with suppress(subprocess.CalledProcessError):
                self._ctl("status", "w")
                return time.monotonic() - begun
        raise RuntimeError(f"cannot start the daemon: {(self.home / 'log').read_text(errors='replace')}")

    def crashing(self, is_so: bool) -> None:
        crash = self.desk / "crash"
        if is_so:
            crash.touch()
        else:
            crash.unlink(missing_ok=True)

    def told(self) -> tuple[Verdict, ...]:
        """The decisions of which it made events since this was asked last."""
        events = self._ctl(
            "events", "--watcher", "w", "--kind", "decision", "--since", str(self._seen), "--limit", "10000"
        )
        self._seen = max((event["seq"] for event in events["events"]), default=self._seen)
        return tuple(Verdict(event["verdict"], event["inputs"].get("veto")) for event in events["events"])

    def thought(self) -> Thought:
        found = self._ctl("status", "w")["autoscale"]["w"]
        return Thought(found["numprocesses"], Verdict(found["verdict"], found["veto"]))

    def _ctl(self, *words: str) -> Any:
        command = [
            str(Path(sys.executable).with_name("circus-cg")),
            "ctl",
            "--name",
            self.arbiter_name,
            *words,
            "--json",
        ]
        done = subprocess.run(command, env=self.environment(), check=True, capture_output=True, text=True)
        return json.loads(done.stdout)


class Balancer:
    """Shares a demand among the workers that there are, as a queue before them would. A thread of its own."""

    def __init__(self, desk: Path, demand: float) -> None:
        self.demand = demand
        self._desk, self._ended = desk, threading.Event()
        self._told: dict[int, int] = {}  # by pid: percent of a CPU
        self._thread = threading.Thread(target=self._balance)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()

    def _balance(self) -> None:
        while not self._ended.wait(OFTEN):
            pids = {pid: path for path in self._desk.glob("*.pid") if _lives(pid := int(path.read_text()))}
            if not pids:
                continue
            load = percent(self.demand / len(pids))
            for pid, path in pids.items():
                if self._told.get(pid) != load:
                    self._told[pid] = load
                    path.with_suffix("").write_text(f"{load}\n")


def percent(share: float) -> int:
    """Of a CPU, for a worker with so much to do. As much as it may use is asked for as all there is: then its quota is
    what stops it, as it would stop any worker.
    """
    return 100 if share >= 1 else round(100 * share * UNIT)


def _lives(pid: int) -> bool:
    """No zombie, either."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False
