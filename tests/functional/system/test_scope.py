"""A daemon started by hand asks systemd for a delegated scope, whoever starts it."""

from __future__ import annotations

import os
import pwd
import signal
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import yaml

from tests.conftest import SLOWNESS, until
from tests.functional.daemon import PROGRAM
from tests.functional.evidence import alive, children_of, lines_of, quoted, sh
from tests.functional.system.service import ENVIRONMENT, command, group_in_systemds_tree, in_guest_of_our_own, unit_of

pytestmark = in_guest_of_our_own


class ByHand:
    """`circus-cg run` as somebody types it: no root of the groups is named."""

    def __init__(self, directory: Path, name: str) -> None:
        self.name, self.scope, self.pids = name, f"circus-cg-{name}.scope", directory / "pids"
        self.config = directory / f"{name}.yaml"
        self.config.touch(mode=0o600)
        cmd = sh(f"echo $$ >> {quoted(self.pids)}; exec sleep 1000")
        self.config.write_text(yaml.safe_dump({"name": name, "watchers": {"w": {"cmd": cmd, "numprocesses": 2}}}))

    def start(self, **variables: str) -> subprocess.Popen[bytes]:
        environment = {**ENVIRONMENT, **variables}
        return subprocess.Popen([PROGRAM, "run", str(self.config)], env=environment, stdin=subprocess.DEVNULL)

    def workers(self, count: int = 2) -> list[int]:
        until(lambda: len(lines_of(self.pids)) >= count, 30, f"{count} workers")
        return [int(line) for line in lines_of(self.pids)]


@pytest.fixture
def by_hand(tmp_path: Path, scratch_name: str) -> Iterator[ByHand]:
    made = ByHand(tmp_path, scratch_name)
    with ExitStack() as last:
        last.callback(subprocess.run, ["systemctl", "stop", made.scope], check=False, capture_output=True)
        yield made


def ended(process: subprocess.Popen[bytes]) -> int:
    return process.wait(60 * SLOWNESS)


def test_it_stays_the_same_process_and_gets_a_subtree_that_goes_with_it(by_hand: ByHand) -> None:
    process = by_hand.start()
    try:
        workers = by_hand.workers()
        assert unit_of(process.pid) == by_hand.scope
        assert all(unit_of(pid) == by_hand.scope for pid in workers)
        assert by_hand.scope in group_in_systemds_tree(process.pid).split("/")
        assert command("systemctl", "show", "--value", "--property=Delegate", by_hand.scope).strip() == "yes"
        assert "CIRCUS_CG_IN_SCOPE" not in Path(f"/proc/{workers[0]}/environ").read_text()
    finally:
        process.send_signal(signal.SIGTERM)
        assert ended(process) == 0
    assert not any(alive(pid) for pid in workers)
    until(lambda: state(by_hand.scope) == "inactive", why="the scope to go")


def test_a_second_one_of_the_name_is_refused_and_harms_nobody(by_hand: ByHand) -> None:
    process = by_hand.start()
    workers = by_hand.workers()
    assert ended(by_hand.start()) == 4
    assert all(alive(pid) for pid in (process.pid, *workers))
    process.send_signal(signal.SIGTERM)
    assert ended(process) == 0


def test_a_second_one_of_the_name_that_sees_no_lock_is_refused_as_well(by_hand: ByHand, tmp_path: Path) -> None:
    process = by_hand.start()
    workers = by_hand.workers()
    assert ended(by_hand.start(CIRCUS_CG_RUNTIME_DIR=str(tmp_path / "elsewhere"))) == 4
    assert all(alive(pid) for pid in (process.pid, *workers))
    process.send_signal(signal.SIGTERM)
    assert ended(process) == 0


def test_what_a_killed_keeper_left_is_ended_by_the_next_start(by_hand: ByHand) -> None:
    first = by_hand.start()
    left = by_hand.workers()
    first.kill()
    first.wait()
    assert any(alive(pid) for pid in left)
    second = by_hand.start()
    fresh = set(by_hand.workers(4)) - set(left)
    assert len(fresh) == 2 and not any(alive(pid) for pid in left)
    second.send_signal(signal.SIGTERM)
    assert ended(second) == 0


def test_a_service_without_delegation_stays_in_its_own_unit(by_hand: ByHand) -> None:
    unit = f"plain-{by_hand.name}.service"
    words = ["--property=KillMode=mixed", "--collect", PROGRAM, "run", str(by_hand.config)]
    command("systemd-run", "--quiet", f"--unit={unit}", *words)
    workers = by_hand.workers()
    keeper = int(command("systemctl", "show", "--value", "--property=MainPID", unit))
    assert {unit_of(pid) for pid in (keeper, *workers)} == {unit}
    command("systemctl", "stop", unit)
    assert not any(alive(pid) for pid in workers)


USER = "vagrant"


@pytest.fixture
def session() -> Iterator[dict[str, str]]:
    """The environment of a user whose service manager runs without a login."""
    user = pwd.getpwnam(USER)
    command("loginctl", "enable-linger", USER)
    until(lambda: Path(f"/run/user/{user.pw_uid}/systemd/private").exists(), 30, "the user's manager")
    yield {
        "HOME": user.pw_dir,
        "USER": USER,
        "PATH": os.environ["PATH"],
        "XDG_RUNTIME_DIR": f"/run/user/{user.pw_uid}",
        "DBUS_SESSION_BUS_ADDRESS": f"unix:path=/run/user/{user.pw_uid}/bus",
    }
    command("loginctl", "disable-linger", USER)


def as_user(*words: str) -> list[str]:
    return ["runuser", "-u", USER, "--", *words]


@pytest.mark.host_may_lack("a v2 hierarchy with controllers")
@pytest.mark.skipif(os.environ.get("CIRCUS_CG_EXPECT_LAYOUT") != "v2", reason="v1 can't be delegated to a user")
def test_a_user_runs_limited_workers_below_the_session(session: dict[str, str], scratch_name: str) -> None:
    home = Path(session["HOME"], scratch_name)
    home.mkdir()
    config = home / "mine.yaml"
    cmd = ["sleep", "1000"]
    limits = {"memory_max": "64M", "pids_max": 20}
    config.write_text(yaml.safe_dump({"name": scratch_name, "watchers": {"w": {"cmd": cmd, "limits": limits}}}))
    for path in (home, config):
        os.chown(path, pwd.getpwnam(USER).pw_uid, pwd.getpwnam(USER).pw_gid)
    config.chmod(0o600)
    unit = f"circus-cg-{scratch_name}.service"
    manage = as_user("systemctl", "--user")
    command(*as_user(PROGRAM, "install-unit", "--config", str(config), "--enable"), environment=session)
    try:
        keeper = int(command(*manage, "show", "--value", "--property=MainPID", unit, environment=session))
        (sleeper,) = until(lambda: sleepers(keeper), 30, "the worker")
        group = Path("/sys/fs/cgroup") / group_in_systemds_tree(sleeper).lstrip("/")
        assert unit in group.parts and f"user@{pwd.getpwnam(USER).pw_uid}.service" in group.parts
        assert (group / "memory.max").read_text().strip() == str(64 << 20)
        assert (group / "pids.max").read_text().strip() == "20"
    finally:
        command(*manage, "disable", "--now", unit, environment=session)
        (home.parent / ".config/systemd/user" / unit).unlink()
        command(*manage, "daemon-reload", environment=session)
    assert not alive(sleeper)


def sleepers(keeper: int) -> list[int]:
    return [pid for pid, line in children_of(keeper).items() if line.startswith("sleep ")]


def state(unit: str) -> str:
    words = ["systemctl", "show", "--value", "--property=ActiveState", unit]
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout.strip()
