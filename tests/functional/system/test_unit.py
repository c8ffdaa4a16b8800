"""The unit that install-unit writes, run by a real systemd: start, stop, restart, and how time is granted."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import SLOWNESS
from tests.functional.daemon import PROGRAM
from tests.functional.evidence import alive, lines_of, quoted, sh
from tests.functional.system.conftest import StartService
from tests.functional.system.service import CONFIG, Service, command, in_guest_of_our_own

pytestmark = in_guest_of_our_own
SLEEP = ["sleep", "1000"]


def test_the_service_has_started_when_its_arbiter_is_ready_and_says_what_it_supervises(service: StartService) -> None:
    running = service({"w": {"cmd": SLEEP, "numprocesses": 2}})
    assert (running.show("ActiveState"), running.show("SubState")) == ("active", "running")
    assert running.show("StatusText") == "supervising 1 watchers"
    assert len(running.workers(2)) == 2


def test_systemd_finds_nothing_to_complain_about_in_the_unit(service: StartService) -> None:
    running = service({"w": {"cmd": SLEEP}})
    path = f"/etc/systemd/system/{running.unit}"
    assert command("systemd-analyze", "verify", "--recursive-errors=no", path) == ""
    assert running.show("NeedDaemonReload") == "no"


def test_a_stop_lets_each_worker_end_by_itself_however_long_it_takes(service: StartService, tmp_path: Path) -> None:
    """Longer than TimeoutStopSec: the keeper asks for more time while it goes on."""
    log = tmp_path / "log"
    takes = 15 * max(1.0, SLOWNESS / 2)
    ending = (
        f"trap 'sleep {takes}; echo ended >> {quoted(log)}; exit 0' TERM; echo up >> {quoted(log)}; sleep 1000 & wait"
    )
    watcher = {"cmd": sh(ending), "graceful_timeout": takes * 4}
    running = service({"w": watcher}, overrides="TimeoutStopSec=8")
    running.workers(1)
    running.systemctl("stop", seconds=120)
    assert lines_of(log) == ["up", "ended"]
    assert (running.show("ActiveState"), running.show("Result")) == ("inactive", "success")


def test_restart_replaces_daemon_and_workers(service: StartService) -> None:
    running = service({"w": {"cmd": SLEEP, "numprocesses": 2}})
    keeper, before = running.pid, {row["pid"] for row in running.workers(2)}
    running.systemctl("restart")
    after = {row["pid"] for row in running.workers(2, fresh=lambda row: row["pid"] not in before)}
    assert running.pid != keeper and not after & before
    assert not any(alive(pid) for pid in before)


def test_quit_ends_the_service_and_systemd_does_not_start_it_again(service: StartService) -> None:
    running = service({"w": {"cmd": SLEEP}})
    running.workers(1)
    running.ctl("quit")
    assert (running.show("ActiveState"), running.show("NRestarts")) == ("inactive", "0")


def test_a_wrong_configuration_fails_once_and_is_not_tried_again(scratch_name: str) -> None:
    with Service(scratch_name, {"w": {"cmd": SLEEP}}) as running:
        running.systemctl("stop")
        running.config.write_text("watchers: {w: {}}")
        with pytest.raises(AssertionError, match="status 1"):
            running.systemctl("start")
        assert (running.show("ActiveState"), running.show("NRestarts")) == ("failed", "0")
        assert running.show("ExecMainStatus") == "2"


def test_workers_hear_nothing_of_systemds_words(service: StartService, tmp_path: Path) -> None:
    seen = tmp_path / "environment"
    running = service({"w": {"cmd": sh(f"env > {quoted(seen)}; exec sleep 1000"), "copy_env": True}})
    running.workers(1)
    names = {line.partition("=")[0] for line in lines_of(seen)}
    assert names and not names & {"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "LISTEN_FDS", "LISTEN_PID"}
    arbiter = Path(f"/proc/{running.arbiter()}/environ").read_text()
    assert "NOTIFY_SOCKET" not in arbiter and "WATCHDOG" not in arbiter


def test_an_installed_unit_can_be_enabled_in_the_same_breath(scratch_name: str) -> None:
    with Service(scratch_name, {"w": {"cmd": SLEEP}}) as running:
        running.systemctl("stop")
        command(PROGRAM, "install-unit", "--config", str(CONFIG / f"{running.name}.yaml"), "--enable")
        assert (running.show("UnitFileState"), running.show("ActiveState")) == ("enabled", "active")
        running.workers(1)
        running.systemctl("disable")
