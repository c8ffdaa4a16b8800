"""What a worker is when its program begins, whichever launcher made it."""

from __future__ import annotations

import errno
import os
import resource
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from circus_cg.keeper.launch import Failed, ForkLauncher, NativeLauncher, Running, Started, make_launcher
from tests.functional.launcher.conftest import MakeGroup
from tests.functional.launcher.driver import ENV, Driver
from tests.scratch_groups import mounts

V1 = [mount for mount in mounts() if mount.name in ("memory", "pids", "freezer")]
NOBODY = 65534
CAP_SYS_RESOURCE = 24


@pytest.fixture(params=["native", "fork"])
def driver(request: pytest.FixtureRequest, native_launcher: str) -> Iterator[Driver]:
    driver = Driver(NativeLauncher(native_launcher) if request.param == "native" else ForkLauncher())
    yield driver
    driver.close()


@pytest.mark.host_may_lack("a v2 hierarchy")
def test_a_worker_is_in_all_its_groups_when_its_program_begins(
    driver: Driver, make_group: MakeGroup, v2_mount: Path
) -> None:
    v2, v1 = make_group(v2_mount), [make_group(mount) for mount in V1]
    rows = driver.output("cat", "/proc/self/cgroup", v2=str(v2), v1=[str(group) for group in v1]).splitlines()
    assert f"0::/{v2.name}" in rows
    assert sum(row.endswith(f"/{v2.name}") for row in rows) == 1 + len(v1)


def test_a_worker_is_a_child_of_the_caller_and_leads_a_session_of_its_own(driver: Driver) -> None:
    fields = driver.output("cat", "/proc/self/stat").rpartition(")")[2].split()
    pid = next(a.pid for a in driver.answers if isinstance(a, Started))
    assert [int(field) for field in fields[1:4]] == [os.getpid(), pid, pid]


def test_the_caller_hears_of_the_process_before_it_hears_of_the_exec(driver: Driver) -> None:
    ident = driver.submit("true")
    driver.settled(ident)
    assert driver.answers == [Started(ident, driver.started(ident)), Running(ident)]
    assert driver.status(ident) == 0


def test_identity_and_limits_are_what_was_asked_for(driver: Driver) -> None:
    script = "umask; nice; ulimit -Sn; ulimit -Hn; ulimit -Sc; cat /proc/self/oom_score_adj; pwd; cat /proc/self/status"
    text = driver.output(
        "sh", "-c", script, cwd="/usr", umask=0o27, nice=5, oom_score_adj=300, uid=NOBODY, gid=12345, groups=[7, 8],
        rlimits=[(resource.RLIMIT_NOFILE, 64, 128), (resource.RLIMIT_CORE, 0, -1)],
    )  # fmt: skip
    lines = text.splitlines()
    assert lines[:7] == ["0027", "5", "64", "128", "0", "300", "/usr"]
    status = dict(line.split(":\t", 1) for line in lines[7:] if ":\t" in line)
    assert status["Uid"].split() == [str(NOBODY)] * 4
    assert status["Gid"].split() == ["12345"] * 4
    assert status["Groups"].split() == ["7", "8"]
    assert int(status["CapEff"], 16) == int(status["CapPrm"], 16) == 0


def test_no_supplementary_group_is_left_when_none_is_asked_for(driver: Driver) -> None:
    assert driver.output("id", "-G", uid=NOBODY, gid=NOBODY, groups=[]).split() == [str(NOBODY)]


def test_signals_are_as_a_program_expects_them(driver: Driver) -> None:
    """Python ignores SIGPIPE, and the caller may block or handle what it likes."""
    before = signal.signal(signal.SIGUSR1, lambda *_: None)
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    try:
        driver.launcher.restart()
        text = driver.output("cat", "/proc/self/status")
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        signal.signal(signal.SIGUSR1, before)
    status = dict(line.split(":\t", 1) for line in text.splitlines())
    assert [int(status[mask], 16) for mask in ("SigBlk", "SigIgn", "SigCgt")] == [0, 0, 0]


LIST_FDS = """
import os
for fd in os.listdir("/proc/self/fd"):
    try: print(fd, os.readlink("/proc/self/fd/" + fd))
    except FileNotFoundError: pass  # of the listing itself
"""


def test_only_the_named_descriptors_are_open(driver: Driver, tmp_path: Path) -> None:
    path = tmp_path / "seven"
    with path.open("w") as stream:
        os.set_inheritable(stream.fileno(), True)  # even so: it is not named under its own number
        driver.launcher.restart()
        text = driver.output(sys.executable, "-ISc", LIST_FDS, fds={7: stream.fileno()})
    found = dict(line.split(" ", 1) for line in text.splitlines())
    assert set(found) == {"0", "1", "2", "7"}
    assert (found["0"], found["7"]) == (os.devnull, str(path))


def test_descriptors_may_change_places(driver: Driver) -> None:
    """Each target is the number of the other's source."""
    pipes = [os.pipe2(os.O_CLOEXEC) for _ in range(2)]
    (_, one), (_, two) = pipes
    script = f"import os; os.write({two}, b'to one'); os.write({one}, b'to two')"
    ident = driver.submit(sys.executable, "-ISc", script, fds={two: one, one: two})
    assert driver.status(ident) == 0
    assert [os.read(reader, 99) for reader, _ in pipes] == [b"to one", b"to two"]
    for fd in (fd for pipe in pipes for fd in pipe):
        os.close(fd)


@pytest.mark.parametrize(
    ("argv", "properties", "stage", "error"),
    [
        (["/nowhere/at/all"], {}, "exec", errno.ENOENT),
        (["no-such-program"], {}, "exec", errno.ENOENT),
        (["true"], {"env": {"PATH": "/nowhere"}}, "exec", errno.ENOENT),
        (["passwd"], {"env": {"PATH": "/etc"}}, "exec", errno.EACCES),
        (["true"], {"cwd": "/nowhere"}, "chdir", errno.ENOENT),
        (["true"], {"v1": ["/nowhere"]}, "join", errno.ENOENT),
        (["true"], {"v2": "/nowhere"}, "join", errno.ENOENT),
        (["true"], {"rlimits": [(999, 1, 1)]}, "rlimit", errno.EINVAL),
        (["true"], {"oom_score_adj": 5000}, "oom_score_adj", errno.EINVAL),
        (["true"], {"fds": {resource.getrlimit(resource.RLIMIT_NOFILE)[0] + 7: 2}}, "fds", errno.EINVAL),
    ],
    ids=lambda value: str(value)[:30],
)
def test_a_failure_names_its_stage(
    driver: Driver, argv: list[str], properties: dict[str, Any], stage: str, error: int
) -> None:
    ident = driver.submit(*argv, **properties)
    failed = driver.settled(ident)
    assert isinstance(failed, Failed) and (failed.stage, failed.errno) == (stage, error)
    assert failed.pid is None or driver.status(ident) == 127


def test_a_privilege_that_cannot_be_dropped_fails_the_spawn(driver: Driver) -> None:
    """The number that means "leave as it is" to the kernel leaves the worker root: found by looking again."""
    ident = driver.submit("true", uid=(1 << 32) - 1)
    failed = driver.settled(ident)
    assert isinstance(failed, Failed) and failed.stage == "ids"
    assert driver.status(ident) == 127


@pytest.mark.host_may_lack("a kernel that refuses: root usually has CAP_SYS_RESOURCE")
def test_an_oom_score_that_may_not_be_lowered_fails_the_spawn(driver: Driver) -> None:
    status = Path("/proc/self/status").read_text().split()
    if int(status[status.index("CapEff:") + 1], 16) & 1 << CAP_SYS_RESOURCE:
        pytest.skip("this process may lower it")
    ident = driver.submit("true", oom_score_adj=-900)
    failed = driver.settled(ident)
    assert isinstance(failed, Failed) and (failed.stage, failed.errno) == ("oom_score_adj", errno.EACCES)
    assert driver.status(ident) == 127


def test_a_file_that_is_no_program_is_not_given_to_a_shell(driver: Driver, tmp_path: Path) -> None:
    script = tmp_path / "script"
    script.write_text("exit 0\n")
    script.chmod(0o755)
    ident = driver.submit("script", env={"PATH": f"/nowhere:{tmp_path}"})
    failed = driver.settled(ident)
    assert isinstance(failed, Failed) and (failed.stage, failed.errno) == ("exec", errno.ENOEXEC)
    assert driver.status(ident) == 127


def test_arguments_and_environment_of_two_megabytes_arrive(driver: Driver) -> None:
    env = ENV | {f"V{i}": "x" * 100_000 for i in range(9)}
    argv = ["y" * 100_000 for _ in range(9)]
    text = driver.output("sh", "-c", "wc -c < /proc/$$/environ; wc -c < /proc/$$/cmdline", "sh", *argv, env=env)
    environ, cmdline = map(int, text.split())
    assert environ == sum(len(key) + len(value) + 2 for key, value in env.items())
    assert cmdline > 900_000


@pytest.mark.host_may_lack("a v2 hierarchy")
def test_a_worker_held_up_in_a_frozen_group_delays_no_other(
    driver: Driver, make_group: MakeGroup, v2_mount: Path
) -> None:
    frozen = make_group(v2_mount)
    (frozen / "cgroup.freeze").write_text("1")
    held = driver.submit("true", v2=str(frozen))
    driver.started(held)
    free = driver.submit("true")
    assert driver.settled(free) == Running(free)
    assert Running(held) not in driver.answers
    (frozen / "cgroup.freeze").write_text("0")
    assert driver.settled(held) == Running(held)
    assert driver.status(held) == driver.status(free) == 0


def test_a_burst_is_answered_completely(driver: Driver) -> None:
    """More than the socket holds, with descriptors the caller closes at once."""
    reader, writer = os.pipe2(os.O_CLOEXEC)
    env = ENV | {"FILL": "x" * 20_000}
    idents = []
    for _ in range(60):
        copy = os.dup(writer)
        idents.append(driver.submit("sh", "-c", "echo >&5", env=env, fds={5: copy}))
        os.close(copy)
    os.close(writer)
    assert [driver.settled(ident) for ident in idents] == [Running(ident) for ident in idents]
    assert [driver.status(ident) for ident in idents] == [0] * len(idents)
    with open(reader, "rb") as stream:
        assert len(stream.read()) == len(idents)


def test_the_fallback_is_taken_when_asked_for_and_when_nothing_was_built(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, native_launcher: str
) -> None:
    assert isinstance(make_launcher(str(tmp_path / "missing")), ForkLauncher)
    monkeypatch.setenv("CIRCUS_CG_LAUNCHER", "fork")
    assert isinstance(make_launcher(native_launcher), ForkLauncher)
