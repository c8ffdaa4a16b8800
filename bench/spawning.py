"""The spawn measure: the same target, the same groups, by each way of making a process."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from bench.systems import _scratch_groups
from bench.world import Births, World
from circus_cg.keeper.launch import Failed, ForkLauncher, NativeLauncher, Running, SpawnRequest, Started, make_launcher


def spawn_times(world: World, rounds: int) -> dict[str, list[float]]:
    """Seconds to the first instruction; ours and the floor join (but don't make) the same groups."""
    births = world.births("spawn")
    dirs = _scratch_groups(f"circus-cg-bench-{os.getpid()}-spawn")
    native, fork = make_launcher(), make_launcher("fork")
    assert isinstance(native, NativeLauncher), "the launcher is not built: ./dev setup"
    ways: dict[str, Callable[[], float]] = {
        "popen": lambda: _popen(world, births),
        "bare_floor": lambda: _posix_spawn(world, births),
        "ours": lambda: _launch(native, world, births, dirs),
        "ours_fallback": lambda: _launch(fork, world, births, dirs),
    }
    times: dict[str, list[float]] = {name: [] for name in ways}
    try:
        for _ in range(rounds):
            for name, way in ways.items():
                times[name].append(way())
                time.sleep(0.01)
        times["floor"] = _floor(world, dirs, rounds)
    finally:
        native.close()
        fork.close()
        for directory in dirs:
            directory.rmdir()
    return times


def _finish(births: Births, begun: int) -> float:
    (born,) = births.wait(1)
    pid = births.pids.pop()
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return (born - begun) / 1e9


def _popen(world: World, births: Births) -> float:
    begun = time.monotonic_ns()
    process = subprocess.Popen([world.target, births.path])
    (born,) = births.wait(1)
    births.pids.pop()
    process.kill()
    process.wait()
    return (born - begun) / 1e9


def _posix_spawn(world: World, births: Births) -> float:
    begun = time.monotonic_ns()
    os.posix_spawn(world.target, [str(world.target), str(births.path)], os.environ)
    return _finish(births, begun)


def _launch(launcher: NativeLauncher | ForkLauncher, world: World, births: Births, dirs: list[Path]) -> float:
    begun = time.monotonic_ns()
    request = SpawnRequest(
        ident=begun,
        argv=[str(world.target), str(births.path)],
        env={"PATH": "/bin"},
        cwd="/",
        v2=str(dirs[0]),
        v1=[str(d) for d in dirs[1:]],
        umask=None,
        nice=None,
        rlimits=[],
        uid=None,
        gid=None,
        groups=None,
        oom_score_adj=0,
        fds={},
    )
    launcher.submit(request)
    settled = False
    while not settled:
        select.select([launcher.fileno()], [], [])
        for answer in launcher.receive():
            assert not isinstance(answer, Failed), f"{answer.stage}: {os.strerror(answer.errno)}"
            settled |= isinstance(answer, Running)
            assert isinstance(answer, Running | Started)
    return _finish(births, begun)


def _floor(world: World, dirs: list[Path], rounds: int) -> list[float]:
    """The C floor's start of one worker, less the floor program's own exec: its bare start is the same program's."""
    births = world.births("spawn-floor")
    times = []
    for _ in range(rounds):
        argv = [str(word) for word in (world.floor, "groups", 1, world.target, births.path, *dirs)]
        begun = time.monotonic_ns()
        process = subprocess.Popen(argv, stdin=subprocess.PIPE)
        (born,) = births.wait(1)
        process.terminate()
        process.wait()
        times.append((born - begun) / 1e9)
    return times
