"""Upgrade in place: new code and a new configuration take over under the workers, or all is as it was."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from circus_cg.keeper.messages import VERSION
from tests.conftest import SLOWNESS, until
from tests.functional.churn import Churn
from tests.functional.conftest import StartDaemon
from tests.functional.daemon import Daemon, Refused
from tests.functional.evidence import alive, arbiter_of, children_of, group_dirs, launcher_of, lines_of, sh, zombies_of
from tests.functional.installation import Installation, earlier_package

SLEEP = ["sleep", "1000"]
THREE = {"w": {"cmd": SLEEP, "numprocesses": 3}}
StartInstalled = Callable[..., tuple[Daemon, Installation]]


@pytest.fixture
def installed(tmp_path: Path, scratch_name: str) -> Iterator[StartInstalled]:
    """`installed(watchers={...})`: a daemon run by an installation that the test may change."""
    with ExitStack() as running:

        def start(installation: Installation | None = None, **configuration: object) -> tuple[Daemon, Installation]:
            used = installation or Installation(tmp_path / "installation")
            daemon = Daemon(tmp_path, scratch_name, configuration)
            daemon.program = str(used.program)
            return running.enter_context(daemon), used

        yield start


def pids(running: Daemon, watcher: str, count: int) -> dict[int, int]:
    return {row["wid"]: row["pid"] for row in running.wait_phase(watcher, count=count)}


def another_keeper(installation: Installation, text: str = "") -> None:
    installation.add_to("keeper/main.py", f"\n# another version {text}\n")


# -- what takes over -----------------------------------------------------------------------------


def test_the_arbiter_is_another_and_the_workers_are_not(daemon: StartDaemon) -> None:
    running = daemon(watchers=THREE)
    before, arbiter = pids(running, "w", 3), arbiter_of(running.pid)
    assert running.ctl("upgrade")["keeper"] == "kept"
    assert arbiter_of(running.pid) not in (arbiter, None)
    assert pids(running, "w", 3) == before


def test_the_keeper_becomes_the_installed_code_in_the_same_process(installed: StartInstalled, tmp_path: Path) -> None:
    out = tmp_path / "out"
    writing = "while echo $$; do sleep 0.05; done"
    running, installation = installed(watchers={"w": {"cmd": sh(writing), "numprocesses": 2, "stdout": str(out)}})
    before, launcher = pids(running, "w", 2), launcher_of(running.pid)
    another_keeper(installation)
    installation.add_to("keeper/messages.py", "\nimport os\nos.environ['CIRCUS_CG_IMAGE'] = 'the next'\n")
    assert running.ctl("upgrade")["keeper"] == "replaced"
    assert running.process is not None and running.process.poll() is None
    assert pids(running, "w", 2) == before
    written = len(lines_of(out))
    until(lambda: len(lines_of(out)) > written, why="the workers' files to be written to still")
    assert launcher_of(running.pid) != launcher or launcher is None
    os.kill(before[1], signal.SIGKILL)
    until(lambda: running.workers("w")[0]["generation"] == 2, why="a new life, made by the new keeper")
    assert running.workers("w")[0]["last_exit"]["signal"] == signal.SIGKILL
    assert running.ctl("upgrade")["keeper"] == "kept"


def test_what_the_configuration_changes_is_done_and_nothing_else(daemon: StartDaemon) -> None:
    same, live, new_env = {"cmd": SLEEP}, {"cmd": SLEEP, "numprocesses": 2}, {"cmd": SLEEP, "env": {"A": "1"}}
    running = daemon(watchers={"same": same, "live": live, "env": new_env, "gone": {"cmd": SLEEP}})
    before = {name: pids(running, name, count) for name, count in (("same", 1), ("live", 2), ("env", 1), ("gone", 1))}
    live |= {"numprocesses": 3, "graceful_timeout": 7}
    new_env["env"] = {"A": "2"}
    running.write_config({"watchers": {"same": same, "live": live, "env": new_env, "added": {"cmd": SLEEP}}})
    running.ctl("upgrade")
    running.wait_phase("added")
    assert pids(running, "same", 1) == before["same"]
    assert before["live"].items() <= pids(running, "live", 3).items()
    until(lambda: not alive(before["env"][1]), why="the worker with the old environment to go")
    (renewed,) = running.wait_phase("env")
    assert b"A=2\0" in Path(f"/proc/{renewed['pid']}/environ").read_bytes()
    until(lambda: "gone" not in running.ctl("status")["statuses"], why="the watcher to be gone")
    assert not alive(before["gone"][1]) and not group_dirs(running.name, "gone")


def test_a_limit_that_needs_another_controller_binds_the_lives_that_are_there(daemon: StartDaemon) -> None:
    running = daemon(watchers={"w": {"cmd": SLEEP}})
    before = pids(running, "w", 1)
    running.write_config({"watchers": {"w": {"cmd": SLEEP, "limits": {"pids_max": 7}}}})
    running.ctl("upgrade")

    def limits() -> list[str]:
        files = [group / "pids.max" for group in group_dirs(running.name, "w", "1.1")]
        return [file.read_text() for file in files if file.exists()]

    until(lambda: limits() == ["7\n"], why="the limit to hold")
    assert pids(running, "w", 1) == before


def test_what_the_operator_did_is_kept(daemon: StartDaemon) -> None:
    running = daemon(watchers={"a": {"cmd": SLEEP}, "b": {"cmd": SLEEP}})
    running.ctl("stop", "a")
    running.ctl("incr", "b", "2")
    running.ctl("upgrade")
    running.wait_phase("b", count=3)
    assert running.ctl("status")["statuses"] == {"a": "stopped", "b": "active"}


def test_what_was_set_and_what_the_configuration_changes_hold_together(daemon: StartDaemon) -> None:
    running = daemon(watchers={"w": {"cmd": SLEEP}})
    running.ctl("set", "w", "env.A=set", "graceful_timeout=3")
    running.write_config({"watchers": {"w": {"cmd": SLEEP, "uid": 65534, "gid": 65534}}})
    running.ctl("upgrade")
    until(lambda: running.workers("w")[0]["generation"] == 3, why="a new life")
    (row,) = running.wait_phase("w")
    assert os.stat(f"/proc/{row['pid']}").st_uid == 65534
    assert b"A=set\0" in Path(f"/proc/{row['pid']}/environ").read_bytes()
    assert running.ctl("options", "w")["options"]["graceful_timeout"] == 3


def test_an_arbiter_that_dies_later_comes_back_by_the_new_configuration_and_renews_nobody(daemon: StartDaemon) -> None:
    running = daemon(watchers={"w": {"cmd": SLEEP}})
    running.write_config({"watchers": {"w": {"cmd": SLEEP, "env": {"A": "1"}}}})
    running.ctl("upgrade")
    until(lambda: running.workers("w")[0]["generation"] == 2, why="the new life")
    before, arbiter = pids(running, "w", 1), until(lambda: arbiter_of(running.pid))
    os.kill(arbiter, signal.SIGKILL)
    until(lambda: arbiter_of(running.pid) not in (arbiter, None), why="the next arbiter")
    running.wait_answering()
    assert pids(running, "w", 1) == before


def test_nothing_of_an_upgrade_is_left_in_the_keeper(installed: StartInstalled) -> None:
    """Done, refused and taken back: descriptors, children, zombies."""
    running, installation = installed(watchers=THREE)
    pids(running, "w", 3)

    def held() -> list[str]:
        fds = Path(f"/proc/{running.pid}/fd")
        return sorted(os.readlink(fd).partition("[")[0].partition("pipe:")[0] for fd in fds.iterdir())

    def round_of_all(number: int) -> None:
        another_keeper(installation, f"{number}")
        running.ctl("upgrade")
        running.ctl("upgrade")
        installation.edit("arbiter/main.py", "    arbiter.begin()\n", "    raise SystemExit(9)\n")
        with pytest.raises(Refused, match="died 3 times"):
            running.ctl("upgrade")
        installation.edit("arbiter/main.py", "    raise SystemExit(9)\n", "    arbiter.begin()\n")
        text = running.config.read_text()
        running.config.write_text("watchers: 3")
        with pytest.raises(Refused):
            running.ctl("upgrade")
        running.config.write_text(text)

    round_of_all(1)
    before = held()
    round_of_all(2)
    assert held() == before
    assert len(children_of(running.pid)) == 4 + (launcher_of(running.pid) is not None)  # workers and the arbiter
    assert not zombies_of(running.pid)


def test_it_needs_no_launcher(tmp_path: Path, scratch_name: str) -> None:
    installation = Installation(tmp_path / "installation")
    forking = Daemon(tmp_path, scratch_name, {"watchers": THREE}, CIRCUS_CG_LAUNCHER="fork")
    forking.program = str(installation.program)
    with forking as running:
        before = pids(running, "w", 3)
        another_keeper(installation)
        assert running.ctl("upgrade")["keeper"] == "replaced"
        assert pids(running, "w", 3) == before
        os.kill(before[1], signal.SIGKILL)
        until(lambda: running.workers("w")[0]["generation"] == 2, why="a new life, made by the new keeper")


def test_sighup_does_the_same(installed: StartInstalled) -> None:
    running, installation = installed(watchers=THREE)
    before, arbiter = pids(running, "w", 3), arbiter_of(running.pid)
    another_keeper(installation)
    os.kill(running.pid, signal.SIGHUP)
    until(lambda: "keeper replaced" in running.output, 30, "the upgrade")
    assert arbiter_of(running.pid) != arbiter and pids(running, "w", 3) == before


def test_another_installation_takes_over_when_it_asks(installed: StartInstalled, tmp_path: Path) -> None:
    """Two directories, the old one removed afterwards."""
    running, first = installed(watchers=THREE)
    before = pids(running, "w", 3)
    second = Installation(tmp_path / "second")
    another_keeper(second)
    running.program = str(second.program)
    assert running.ctl("upgrade")["keeper"] == "replaced"
    first.uninstall()
    (tmp_path / "installation/venv/bin/python").unlink()
    assert running.ctl("upgrade")["keeper"] == "kept"
    assert pids(running, "w", 3) == before
    assert str(second.python) in Path(f"/proc/{arbiter_of(running.pid)}/cmdline").read_text()


# -- what is taken back, or refused ---------------------------------------------------------------


def test_a_bad_configuration_is_told_and_changes_nothing(daemon: StartDaemon) -> None:
    running = daemon(watchers=THREE)
    before, arbiter = pids(running, "w", 3), arbiter_of(running.pid)
    running.write_config({"watchers": {"w": {"cmd": SLEEP, "numproceses": 3}}})
    with pytest.raises(Refused, match="numproceses") as refused:
        running.ctl("upgrade")
    assert refused.value.status == 2
    assert arbiter_of(running.pid) == arbiter and pids(running, "w", 3) == before


@pytest.mark.parametrize(
    "changed", [{"name": "another"}, {"watchers": {"w": {"cmd": SLEEP, "uid": "nobody-of-that-name"}}}]
)
def test_what_can_not_be_while_it_runs_is_refused(daemon: StartDaemon, changed: dict[str, object]) -> None:
    running = daemon(watchers=THREE)
    before, arbiter = pids(running, "w", 3), arbiter_of(running.pid)
    running.write_config({"watchers": THREE, **changed})
    with pytest.raises(Refused, match="cannot"):
        running.ctl("upgrade")
    assert arbiter_of(running.pid) == arbiter and pids(running, "w", 3) == before


def test_a_new_arbiter_that_only_dies_is_taken_back_with_its_configuration(installed: StartInstalled) -> None:
    """Where pip has replaced the old code too: what runs was sealed."""
    running, installation = installed(watchers=THREE)
    before = pids(running, "w", 3)
    installation.edit("arbiter/main.py", "    arbiter.begin()\n", "    raise SystemExit(9)\n")
    another_keeper(installation)
    running.write_config({"watchers": {"other": {"cmd": SLEEP}}})
    with pytest.raises(Refused, match="died 3 times"):
        running.ctl("upgrade")
    assert pids(running, "w", 3) == before
    assert list(running.ctl("status")["statuses"]) == ["w"]
    arbiter = until(lambda: arbiter_of(running.pid))
    os.kill(arbiter, signal.SIGKILL)
    until(lambda: arbiter_of(running.pid) not in (arbiter, None), why="the next arbiter, of the old code too")
    assert pids(running, "w", 3) == before


def test_a_new_arbiter_that_is_never_ready_is_taken_back(installed: StartInstalled, tmp_path: Path) -> None:
    installation = Installation(tmp_path / "installation")
    installation.edit("keeper/upgrade.py", "READY_LIMIT = 30.0", f"READY_LIMIT = {4 * SLOWNESS}")
    running, _ = installed(installation, watchers=THREE)
    before = pids(running, "w", 3)
    installation.edit("arbiter/main.py", "    arbiter.begin()\n", "    await asyncio.sleep(1000)\n")
    with pytest.raises(Refused, match="not ready within"):
        running.ctl("upgrade")
    assert pids(running, "w", 3) == before


@pytest.mark.parametrize("start", ["raise SystemExit(7)", "import no_such_module", "time.sleep(1000)"])
def test_a_keeper_that_can_not_begin_gives_way_to_the_old_one(
    installed: StartInstalled, tmp_path: Path, start: str
) -> None:
    installation = Installation(tmp_path / "installation")
    installation.edit("keeper/succession.py", "START_LIMIT = 20", f"START_LIMIT = {int(3 * SLOWNESS)}")
    running, _ = installed(installation, watchers=THREE)
    before = pids(running, "w", 3)
    installation.edit("keeper/main.py", "    keeper.take_over(state, failed)\n", f"    {start}\n")
    with pytest.raises(Refused, match="the new keeper can't begin"):
        running.ctl("upgrade")
    assert running.process is not None and running.process.poll() is None
    os.kill(before[2], signal.SIGTERM)
    until(lambda: running.workers("w")[1]["generation"] == 2, why="a new life, made by the old keeper")
    installation.install()
    assert running.ctl("upgrade")["keeper"] == "replaced"
    assert running.workers("w")[0]["pid"] == before[1]


def test_a_keeper_that_does_not_understand_the_state_is_not_tried(installed: StartInstalled) -> None:
    running, installation = installed(watchers=THREE)
    before, arbiter = pids(running, "w", 3), arbiter_of(running.pid)
    installation.edit("keeper/messages.py", f"VERSION = {VERSION}", f"VERSION = {VERSION + 2}")
    with pytest.raises(Refused, match=r"does not understand.*more than one step"):
        running.ctl("upgrade")
    assert arbiter_of(running.pid) == arbiter and pids(running, "w", 3) == before


def test_a_daemon_outlives_its_installation(installed: StartInstalled) -> None:
    running, installation = installed(watchers=THREE)
    before, arbiter = pids(running, "w", 3), until(lambda: arbiter_of(running.pid))
    installation.uninstall()
    os.kill(running.pid, signal.SIGHUP)
    until(lambda: "not upgraded" in running.output, why="the refusal")
    os.kill(arbiter, signal.SIGKILL)
    until(lambda: arbiter_of(running.pid) not in (arbiter, None), why="an arbiter of the code that was sealed")
    installation.install()
    os.kill(until(lambda: launcher_of(running.pid) or before[1]), signal.SIGKILL)
    os.kill(before[3], signal.SIGKILL)
    until(lambda: running.workers("w")[2]["generation"] == 2, why="a new life by the sealed launcher")


def test_a_stop_in_the_middle_of_an_upgrade_is_a_stop(installed: StartInstalled) -> None:
    running, installation = installed(watchers=THREE)
    before = pids(running, "w", 3)
    installation.edit("arbiter/main.py", "    arbiter.begin()\n", "    await asyncio.sleep(1000)\n")
    arbiter = arbiter_of(running.pid)
    with subprocess.Popen(
        [running.program, "ctl", "--name", running.name, "upgrade"],
        env=running.environment, stderr=subprocess.PIPE, text=True,
    ) as asking:  # fmt: skip
        until(lambda: arbiter_of(running.pid) not in (arbiter, None), why="the new arbiter, which hangs")
        os.kill(running.pid, signal.SIGTERM)
        assert asking.stderr is not None
        assert "the daemon is stopping" in asking.stderr.read()
    assert running.process is not None
    assert running.process.wait(30 * SLOWNESS) == 0
    assert not any(alive(pid) for pid in before.values())


def test_the_way_to_the_keeper_is_for_its_user_alone(daemon: StartDaemon) -> None:
    running = daemon(watchers={"w": {"cmd": SLEEP}})
    socket = running.directory / "run" / running.name / "keeper.sock"
    assert stat.S_IMODE(socket.stat().st_mode) == 0o600
    assert running.terminate() == 0
    assert not socket.exists()


# -- under load, and from version to version -------------------------------------------------------

UPGRADES = 20 if SLOWNESS <= 1 else 6


@pytest.mark.timeout(300)
def test_upgrades_under_churn_lose_double_and_misreport_nothing(installed: StartInstalled, tmp_path: Path) -> None:
    """Each life writes one line at its birth and ends with a status that its pid tells; keeper and arbiter in turn."""
    churn = Churn(tmp_path / "lives", 6)
    watchers = {"churn": churn.watcher, "calm": {"cmd": SLEEP, "numprocesses": 4}}
    running, installation = installed(watchers=watchers)
    calm = pids(running, "calm", 4)
    compared = 0
    for number in range(UPGRADES):
        if number % 2:
            another_keeper(installation, str(number))
        assert running.ctl("upgrade")["keeper"] == ("replaced" if number % 2 else "kept")
        compared += churn.statuses_arrived(running.workers("churn"))
    assert compared > UPGRADES
    assert pids(running, "calm", 4) == calm
    running.ctl("stop", "churn")
    churn.nothing_was_lost_or_doubled()


@pytest.fixture
def earlier(tmp_path: Path) -> Path:
    found = earlier_package(tmp_path / "earlier")
    if found is None:
        pytest.skip("the history of the checkout is not here")
    return found


@pytest.mark.host_may_lack("git and the checkout's history")
def test_a_new_arbiter_works_with_an_older_keeper(installed: StartInstalled, earlier: Path, tmp_path: Path) -> None:
    """What was installed over a running daemon meets its keeper when the arbiter dies, where code was not sealed."""
    installation = Installation(tmp_path / "installation", earlier)
    running, _ = installed(installation, watchers=THREE)
    before, arbiter = pids(running, "w", 3), until(lambda: arbiter_of(running.pid))
    installation.install()
    os.kill(arbiter, signal.SIGKILL)
    until(lambda: arbiter_of(running.pid) not in (arbiter, None), why="the next arbiter")
    running.wait_answering()
    assert pids(running, "w", 3) == before
    os.kill(before[1], signal.SIGKILL)
    until(lambda: running.workers("w")[0]["generation"] == 2, why="a new life")
    assert running.workers("w")[0]["last_exit"]["signal"] == signal.SIGKILL


@pytest.mark.host_may_lack("git and the checkout's history")
def test_an_older_arbiter_works_with_a_new_keeper(installed: StartInstalled, earlier: Path, tmp_path: Path) -> None:
    """As after a return to it."""
    old = Installation(tmp_path / "old", earlier)
    installation = Installation(tmp_path / "installation")
    installation.edit(
        "keeper/boot.py",
        "return [python,",
        f"return [{str(old.python)!r}, '-P', '-m', 'circus_cg.arbiter.main', str(PASSED_FD)]\n    return [python,",
    )
    running, _ = installed(installation, watchers=THREE)
    before, arbiter = pids(running, "w", 3), until(lambda: arbiter_of(running.pid))
    assert str(old.python) in Path(f"/proc/{arbiter}/cmdline").read_text()
    os.kill(before[1], signal.SIGKILL)
    until(lambda: running.workers("w")[0]["generation"] == 2, why="a new life")
    assert running.workers("w")[0]["last_exit"]["signal"] == signal.SIGKILL
    os.kill(arbiter, signal.SIGKILL)
    until(lambda: arbiter_of(running.pid) not in (arbiter, None), why="the next arbiter")
    running.wait_phase("w", count=3)
