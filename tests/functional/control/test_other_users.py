"""Another user of this host, and a worker that runs as one, can neither ask the daemon nor read what it has."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.functional.control.afar import Afar
from tests.functional.control.conftest import StartAfar
from tests.scratch_groups import left_of

NOBODY, SOMEBODY = 65534, 65533
PROBE = """
import json, os, socket, stat, sys
asked = json.load(sys.stdin)
os.setgroups([]); os.setgid(asked["uid"]); os.setuid(asked["uid"])
found = []
def attempt(what, path, action):
    try:
        action()
    except (OSError, ValueError):
        return
    found.append([what, path])
def connect(kind, path):
    with socket.socket(socket.AF_UNIX, kind) as one:
        one.connect(path)
for path in asked["all"]:
    for what, flags in (("read", os.O_RDONLY), ("write", os.O_WRONLY), ("list", os.O_RDONLY | os.O_DIRECTORY)):
        attempt(what, path, lambda: os.close(os.open(path, flags | os.O_NONBLOCK)))
    for kind in (socket.SOCK_STREAM, socket.SOCK_SEQPACKET, socket.SOCK_DGRAM):
        attempt("connect", path, lambda: connect(kind, path))
for path in asked["writes"]:
    attempt("write", path, lambda: os.close(os.open(path, os.O_WRONLY | os.O_NONBLOCK)))
for path in asked["places"]:
    attempt("make", path, lambda: os.mkdir(os.path.join(path, "mine")))
for pid in asked["pids"]:
    attempt("signal", str(pid), lambda: os.kill(pid, 0))
json.dump(found, sys.stdout)
"""


def below(directory: Path) -> list[str]:
    return [str(path) for path in (directory, *directory.rglob("*"))]


def probed(running: Afar, uid: int) -> list[list[str]]:
    """What that user can do of what only the daemon's own may."""
    name, keeper, arbiter = running.daemon.name, running.daemon.pid, running.arbiter
    own = [running.directory / "run" / name, running.directory / "state" / name, running.keys_directory]
    files = [path for directory in own for path in below(directory)]
    assert {"control.sock", "keeper.sock", "pubsub.sock", "lock", "audit.log"} <= {Path(path).name for path in files}
    files += [f"/proc/{pid}/{of}" for pid in (keeper, arbiter) for of in ("environ", "mem", "fd", "maps", "cwd")]
    groups = [str(path) for directory in left_of(name) for path in (directory, *directory.iterdir())]
    # Older kernels let everybody write this one of v1's memory: who may read a group's usage may be told of it, too.
    groups = [path for path in groups if not path.endswith("/cgroup.event_control")]
    asked = {
        "uid": uid,
        "all": files,
        "writes": groups,
        "places": [path for path in (*files, *groups) if os.path.isdir(path)],
        "pids": [keeper, arbiter, *(row["pid"] for row in running.daemon.workers("web"))],
    }
    command = [sys.executable, "-I", "-S", "-c", PROBE]
    done = subprocess.run(command, input=json.dumps(asked), capture_output=True, text=True, check=True)
    found: list[list[str]] = json.loads(done.stdout)
    return found


@pytest.fixture
def running(afar: StartAfar) -> Afar:
    one = afar()
    one.directory.chmod(0o711)  # the places are ours to have searched: what is in them must be safe by itself
    for path in one.directory.parents:
        if path.stat().st_uid == os.geteuid() and path.name.startswith("pytest-"):
            path.chmod(0o711)
    one.key("alice", "observe")
    one.daemon.wait_phase("web")
    one.daemon.ctl("incr", "web")
    return one


def test_another_user_can_do_nothing(running: Afar) -> None:
    assert probed(running, SOMEBODY) == []


def test_nothing_in_a_command_line_is_a_secret(running: Afar) -> None:
    secrets = [line for line in (running.keys_directory / "server.key").read_text().split() if len(line) == 64]
    for pid in (running.daemon.pid, running.arbiter):
        line = Path(f"/proc/{pid}/cmdline").read_text()
        assert not any(secret in line for secret in (*secrets, "s3cret"))


def test_a_worker_of_another_user_can_do_nothing_and_inherits_nothing(running: Afar) -> None:
    running.daemon.ctl("set", "web-2", f"uid={NOBODY}", f"gid={NOBODY}")
    (row,) = running.daemon.wait_phase("web-2")
    held = [os.readlink(path) for path in Path(f"/proc/{row['pid']}/fd").iterdir()]
    assert os.stat(f"/proc/{row['pid']}").st_uid == NOBODY
    assert not [one for one in held if any(word in one for word in ("socket:", "memfd:", "/sys/fs/cgroup", "audit"))]
    own = [path for what, path in probed(running, NOBODY) if os.path.exists(path) and os.stat(path).st_uid != NOBODY]
    assert own == []
