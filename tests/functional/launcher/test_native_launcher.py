"""The native launcher as a process: its death, its rebirth, hostile bytes, an older kernel."""

from __future__ import annotations

import os
import random
import signal
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from circus_cg.keeper.launch import Failed, Gone, NativeLauncher, Running, SpawnRequest
from circus_cg.keeper.request import decode, encode
from tests.conftest import until
from tests.functional.launcher.conftest import MakeGroup
from tests.functional.launcher.driver import ENV, Driver

ROOT = Path(__file__).parents[3]


@pytest.fixture
def driver(native_launcher: str) -> Iterator[Driver]:
    driver = Driver(NativeLauncher(native_launcher))
    yield driver
    driver.close()


def kill(driver: Driver) -> None:
    pid = driver.launcher.pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)


@pytest.mark.host_may_lack("a v2 hierarchy")
def test_a_death_is_told_with_what_was_in_flight_even_while_a_child_holds_the_socket(
    driver: Driver, make_group: MakeGroup, v2_mount: Path
) -> None:
    frozen = make_group(v2_mount)
    (frozen / "cgroup.freeze").write_text("1")
    held = driver.submit("true", v2=str(frozen))
    driver.started(held)
    kill(driver)
    late = driver.submit("true")
    assert driver.gone() == Gone([late], [held])
    assert driver.launcher.receive() == [] and driver.launcher.pid is None
    (frozen / "cgroup.freeze").write_text("0")
    assert driver.status(held) == 0


def test_a_new_launcher_serves_after_a_death(driver: Driver) -> None:
    for _ in range(20):
        kill(driver)
        driver.answers.clear()
        driver.gone()
        driver.launcher.restart()
        ident = driver.submit("true")
        assert driver.settled(ident) == Running(ident)
        assert driver.status(ident) == 0


def test_a_request_starts_a_launcher_when_none_is_there(driver: Driver) -> None:
    kill(driver)
    driver.gone()
    ident = driver.submit("true")
    assert driver.settled(ident) == Running(ident)
    assert driver.status(ident) == 0


def test_each_request_fails_while_no_launcher_can_be_started(tmp_path: Path, native_launcher: str) -> None:
    path = tmp_path / "launcher"
    driver = Driver(NativeLauncher(str(path)))
    ident = driver.submit("true")
    failed = driver.settled(ident)
    assert isinstance(failed, Failed) and (failed.stage, failed.pid) == ("launcher", None)
    path.symlink_to(native_launcher)
    ident = driver.submit("true")
    assert driver.settled(ident) == Running(ident)
    assert driver.status(ident) == 0
    driver.close()


SECCOMP = """
import ctypes, struct, sys
from circus_cg.keeper.launch import NativeLauncher
from tests.functional.launcher.driver import Driver
libc = ctypes.CDLL(None, use_errno=True)
# load the number of the call; clone3 (435) -> ENOSYS (38); all others are allowed
rules = struct.pack("=HBBI", 0x20, 0, 0, 0) + struct.pack("=HBBI", 0x15, 0, 1, 435)
rules += struct.pack("=HBBI", 0x06, 0, 0, 0x50000 | 38) + struct.pack("=HBBI", 0x06, 0, 0, 0x7FFF0000)
program = struct.pack("HP", 4, ctypes.addressof(buffer := ctypes.create_string_buffer(rules)))
assert libc.prctl(38, 1, 0, 0, 0) == 0 and libc.prctl(22, 2, program, 0, 0) == 0, ctypes.get_errno()
driver = Driver(NativeLauncher(sys.argv[1]))
print(driver.output("cat", "/proc/self/cgroup", v2=sys.argv[2]))
driver.close()
"""


@pytest.mark.host_may_lack("a v2 hierarchy")
def test_where_the_kernel_has_no_clone3_the_child_joins_by_itself(
    native_launcher: str, make_group: MakeGroup, v2_mount: Path
) -> None:
    group = make_group(v2_mount)
    command = [sys.executable, "-c", SECCOMP, native_launcher, str(group)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0, done.stderr
    assert f"0::/{group.name}" in done.stdout.splitlines()


def mutations(seed: int) -> Iterator[bytes]:
    """Requests with a few bytes changed, cut short or made longer, and plain noise."""
    rng = random.Random(seed)
    header, body = encode(
        SpawnRequest(
            ident=7,
            argv=["/nowhere/x", "y"],
            env=ENV,
            v1=["/nowhere"],
            rlimits=[(7, 64, 64)],
            groups=[1, 2],
            scheduler=(3, 0),
            io_priority=3 << 13,
            cpus=[(0, 200)],
            bounding=7,
            ambient=1,
            no_new_privs=True,
        )
    )
    while True:
        packet = bytearray(header + body)
        match rng.randrange(4):
            case 0:
                packet = bytearray(rng.randbytes(rng.randrange(1, 200)))
            case 1:
                packet = packet[: rng.randrange(1, len(packet))]
            case 2:
                packet += rng.randbytes(rng.randrange(1, 100))
            case _:
                pass
        for _ in range(rng.randrange(4)):
            packet[rng.randrange(len(packet))] = rng.choice((0, 1, 2, 8, 127, 128, 255, rng.randrange(256)))
        if rng.random() < 0.5:  # the right length, so that the fields are looked at
            packet[4:8] = struct.pack("=I", max(len(packet) - 16, 0))
        yield bytes(packet)


def test_malformed_requests_are_answered_and_harm_nothing(native_launcher: str) -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    actions = [(os.POSIX_SPAWN_DUP2, theirs.fileno(), 3)]
    launcher = os.posix_spawn(native_launcher, ["launcher"], {}, file_actions=actions)
    theirs.close()
    ours.settimeout(10)
    children = set()
    with ours, open("/dev/null") as null:
        packets = mutations(20)
        for number in range(1500):
            packet = next(packets)
            if number % 10 == 0:
                socket.send_fds(ours, [packet], [null.fileno()] * (number % 7))
            else:
                ours.send(packet)
            answer = decode(ours.recv(64))
            while not isinstance(answer, Running | Failed):
                children.add(answer.pid)
                answer = decode(ours.recv(64))
        ours.send(b"")  # no end of the stream, only an empty packet
        assert isinstance(decode(ours.recv(64)), Failed)
        open_fds = os.listdir(f"/proc/{launcher}/fd")
    assert sorted(open_fds) == ["0", "1", "2", "3"]  # nothing was kept of what came
    assert until(lambda: os.waitpid(launcher, os.WNOHANG)[0]) == launcher
    for pid in children:
        os.waitpid(pid, 0)
