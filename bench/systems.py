"""The systems under measure, with the same few verbs: each keeps N targets running and restarts those that die."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from bench.world import PATIENCE, World, children

UNIFIED = ("/sys/fs/cgroup/unified", "/sys/fs/cgroup")
ASK_AGAIN = 10.0  # seconds
LIMITS = {"memory_max": "256M", "pids_max": 100}  # what ours enforces on each worker; joined by the floor as well


class System:
    """`daemon` is its main process; `own` lists all processes that are not workers."""

    name = "?"
    period = 0.0  # seconds between its looks at the world, if it polls

    def __init__(self, world: World, workers: int, label: str | None = None) -> None:
        self.world, self.workers = world, workers
        self.label = label or f"{self.name}-{workers}"
        self.births = world.births(self.label)
        self.home = world.scratch / self.label
        self.home.mkdir()
        self.log = (self.home / "log").open("wb")
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def daemon(self) -> int:
        assert self.process is not None
        return self.process.pid

    def argv(self) -> list[str]:
        raise AssertionError("each system has its own")

    def environment(self) -> dict[str, str]:
        return dict(os.environ)

    def start(self) -> float:
        """Seconds from the command to the last worker's first instruction."""
        begun = time.monotonic_ns()
        self.process = subprocess.Popen(
            self.argv(), stdin=subprocess.PIPE, stdout=self.log, stderr=self.log, env=self.environment(), cwd=self.home
        )
        return (max(self.births.wait(self.workers)) - begun) / 1e9

    def restart(self) -> float:
        """Seconds from SIGKILL of one worker to its replacement's first instruction."""
        victim = self.births.pids.pop(0)
        begun = time.monotonic_ns()
        os.kill(victim, signal.SIGKILL)
        (born,) = self.births.wait(1)
        return (born - begun) / 1e9

    def stop(self) -> float:
        """Seconds from SIGTERM to the end of the daemon."""
        assert self.process is not None
        begun = time.monotonic()
        self._terminate(begun + PATIENCE)
        self.births.drain()
        took = time.monotonic() - begun
        self.log.close()
        return took

    def _terminate(self, end: float) -> None:
        """Asked again where it doesn't listen: circusd loses a SIGTERM that comes while it restarts a worker."""
        assert self.process is not None
        while True:
            self.process.terminate()
            try:
                self.process.wait(ASK_AGAIN)
            except subprocess.TimeoutExpired:
                if time.monotonic() > end:
                    raise
            else:
                return

    def own(self) -> list[int]:
        workers = set(self.births.pids)
        found, todo = [], [self.daemon]
        while todo:
            pid = todo.pop()
            if pid not in workers:
                found.append(pid)
                todo += children(pid)
        return found

    def pause(self) -> None:
        """A peer that polls must not disturb the others while it is not its turn."""
        for pid in self.own():
            os.kill(pid, signal.SIGSTOP)

    def resume(self) -> None:
        for pid in self.own():
            os.kill(pid, signal.SIGCONT)


class BareFloor(System):
    name = "bare_floor"

    def argv(self) -> list[str]:
        return [str(self.world.floor), "bare", str(self.workers), str(self.world.target), str(self.births.path)]

    def own(self) -> list[int]:
        return [self.daemon]


class Floor(BareFloor):
    """The same groups as ours, made, joined and removed in C."""

    name = "floor"

    def __init__(self, world: World, workers: int, label: str | None = None) -> None:
        super().__init__(world, workers, label)
        self.dirs = _scratch_groups(f"circus-cg-bench-{os.getpid()}-{self.label}")

    def argv(self) -> list[str]:
        program = [str(self.world.floor), "groups", str(self.workers)]
        return [*program, str(self.world.target), str(self.births.path), *map(str, self.dirs)]

    def stop(self) -> float:
        took = super().stop()
        for directory in self.dirs:
            directory.rmdir()
        return took


class Ours(System):
    name = "ours"
    launcher = ""

    def more(self) -> dict[str, Any]:
        """Of the configuration's top level."""
        return {}

    @property
    def arbiter_name(self) -> str:
        return f"bench-{os.getpid()}-{self.label}"

    def watcher(self) -> dict[str, Any]:
        return {
            "cmd": [str(self.world.target), str(self.births.path)],
            "numprocesses": self.workers,
            "limits": LIMITS,
            "min_uptime": 0,
            "backoff": {"initial": 0},
            "flapping": {"attempts": 0},
        }

    def argv(self) -> list[str]:
        config = self.home / "bench.yaml"
        document = {"name": self.arbiter_name, "cgroup_root": "/", "watchers": {"w": self.watcher()}, **self.more()}
        config.write_text(json.dumps(document))  # JSON is YAML
        config.chmod(0o600)
        return [sys.executable, "-m", "circus_cg", "run", str(config)]

    def environment(self) -> dict[str, str]:
        own = {"CIRCUS_CG_RUNTIME_DIR": str(self.home / "run"), "CIRCUS_CG_STATE_DIR": str(self.home / "state")}
        return {**os.environ, **own, "CIRCUS_CG_LAUNCHER": self.launcher}


class OursForking(Ours):
    name = "ours_fallback"
    launcher = "fork"


class Circus(System):
    name = "circus"
    check_delay = period = 5.0

    @property
    def endpoint(self) -> str:
        return f"ipc://{self.home}/endpoint"

    def argv(self) -> list[str]:
        config = self.home / "circus.ini"
        config.write_text(
            f"[circus]\nendpoint = {self.endpoint}\npubsub_endpoint = ipc://{self.home}/pubsub\n"
            f"multicast_endpoint =\ncheck_delay = {self.check_delay}\n"
            f"[watcher:w]\ncmd = {self.world.target} {self.births.path}\nnumprocesses = {self.workers}\n"
        )
        return [str(peers_bin("circusd")), str(config)]


class CircusFast(Circus):
    name = "circus_fast"
    check_delay = period = 0.01


class Supervisord(System):
    name = "supervisord"
    period = 1.0

    def argv(self) -> list[str]:
        config = self.home / "supervisord.conf"
        config.write_text(
            f"[supervisord]\nnodaemon=true\nlogfile={self.home}/supervisord.log\npidfile={self.home}/pid\n"
            f"minfds=8192\nminprocs=4096\n[program:w]\ncommand={self.world.target} {self.births.path}\n"
            f"numprocs={self.workers}\nprocess_name=%(process_num)d\nstartsecs=0\nautorestart=true\n"
            f"stdout_logfile=NONE\nstderr_logfile=NONE\n"
        )
        return [str(peers_bin("supervisord")), "-c", str(config)]


class Runit(System):
    name = "runit"

    def argv(self) -> list[str]:
        services = self.home / "services"
        services.mkdir()
        for number in range(self.workers):
            service = services / str(number)
            service.mkdir()
            run = service / "run"
            run.write_text(f"#!/bin/sh\nexec {self.world.target} {self.births.path}\n")
            run.chmod(0o755)
        return ["runsvdir", str(services)]

    def stop(self) -> float:
        """SIGHUP is runsvdir's word for stopping its services too."""
        assert self.process is not None
        begun = time.monotonic()
        watched = self.own()
        self.process.send_signal(signal.SIGHUP)
        self.process.wait(PATIENCE)
        while any(Path(f"/proc/{pid}").exists() for pid in watched[1:]) and time.monotonic() - begun < PATIENCE:
            time.sleep(0.01)
        self.log.close()
        return time.monotonic() - begun


def peers_bin(program: str) -> Path:
    return Path(__file__).parent / ".venv" / "bin" / program


def _scratch_groups(name: str) -> list[Path]:
    """The unified group first, then the v1 controllers that ours joins for LIMITS."""
    unified = next(
        Path(m) for m in UNIFIED if (Path(m) / "cgroup.procs").exists() and (Path(m) / "cgroup.controllers").exists()
    )
    v1 = [Path("/sys/fs/cgroup") / c for c in ("memory", "pids")]
    dirs = [mount / name for mount in [unified, *v1] if (mount / "cgroup.procs").exists()]
    for directory in dirs:
        directory.mkdir()
    return dirs
