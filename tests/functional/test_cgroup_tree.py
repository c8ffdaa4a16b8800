"""A daemon's own place: made once, held by `@daemon`, outside every limited group, and left without a trace."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from pathlib import Path

import pytest

from circus_cg.cgroup import hierarchy
from circus_cg.cgroup.tree import Tree, crowd
from circus_cg.errors import HostError
from tests.functional.groups import Place
from tests.scratch_groups import left_of

PREPARE = """
import sys
from circus_cg.cgroup import hierarchy
from circus_cg.cgroup.tree import Tree
Tree(hierarchy.find("/"), sys.argv[1]).prepare(frozenset({"memory", "pids", "cpu"}))
print(open("/proc/self/cgroup").read())
print("ready", flush=True)
sys.stdin.read()
"""


def prepared(name: str) -> subprocess.Popen[str]:
    argv = [sys.executable, "-c", PREPARE, name]
    return subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def test_the_daemon_moves_into_its_leaf_in_every_hierarchy_it_uses(place: Place) -> None:
    used = place.tree.used(frozenset({"memory", "pids", "cpu"}))
    with prepared(place.tree.name) as process:
        assert process.stdout is not None and process.stdin is not None
        lines = []
        while (line := process.stdout.readline().strip()) != "ready":
            lines.append(line)
        here = [line for line in lines if line.endswith(f"/circus-cg/{place.tree.name}/@daemon")]
        assert len(here) == len(used), lines
        process.stdin.close()
    for one in used:
        if one.version == 2:
            enabled = Path(place.tree.directory(one), "cgroup.subtree_control").read_text().split()
            assert set(enabled) == {"memory", "pids", "cpu"} & set(one.controllers)


def test_a_name_can_be_prepared_again(place: Place) -> None:
    for _ in range(2):
        done = subprocess.run(
            [sys.executable, "-c", PREPARE, place.tree.name], stdin=subprocess.DEVNULL, capture_output=True, check=False
        )
        assert done.returncode == 0, done.stderr
    place.tree.kill_stale()
    assert left_of(place.tree.name) == []


def test_a_dead_daemons_leaf_goes_with_what_it_left(place: Place) -> None:
    with prepared(place.tree.name) as process:
        assert process.stdout is not None
        while process.stdout.readline().strip() != "ready":
            pass
        Tree(hierarchy.find("/"), place.tree.name).kill_stale()
        assert process.wait(10) == -9
    assert left_of(place.tree.name) == []


@pytest.mark.host_may_lack("controllers on v2")
def test_a_crowded_v2_root_is_refused_with_the_remedy(place: Place) -> None:
    """As a session of systemd's is, unless it was delegated: others live where children should get controllers."""
    unified = place.layout.unified
    if unified is None or "memory" not in unified.controllers:
        pytest.skip("the memory controller is not on v2 here")
    place.watcher()
    top = Path(place.tree.directory(unified))
    root = f"/{top.relative_to(unified.mount)}/crowded"
    (top / "crowded").mkdir()
    with contextlib.ExitStack() as stack:
        joined = f'echo $$ >"{top}/crowded/cgroup.procs"; echo ready; exec sleep 1000'
        sleeper = stack.enter_context(subprocess.Popen(["/bin/sh", "-c", joined], stdout=subprocess.PIPE))
        stack.callback(sleeper.kill)
        assert sleeper.stdout is not None and sleeper.stdout.readline() == b"ready\n"
        layout = hierarchy.find(root)
        assert layout.unified is not None and crowd(layout.unified, frozenset({"memory"}), set()) is not None
        with pytest.raises(HostError, match=r"processes live in it .*Delegate=yes"):
            Tree(layout, "inner").prepare(frozenset({"memory"}))
        assert not (top / "crowded/circus-cg").exists()
