"""The unit that install-unit writes, run by a real systemd: start, stop, restart, and how time is granted."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import until
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


def taking(seconds: float, log: Path) -> dict[str, Any]:
    """A watcher whose worker takes so long to leave."""
    ending = (
        f"trap 'sleep {seconds}; echo ended >> {quoted(log)}; exit 0' TERM; echo up >> {quoted(log)}; sleep 1000 & wait"
    )
    return {"cmd": sh(ending), "graceful_timeout": seconds * 2}


@pytest.mark.alone("a daemon-reload of another test would end the extended stop")
def test_a_stop_lets_each_worker_end_by_itself_however_long_it_takes(service: StartService, tmp_path: Path) -> None:
    """Longer than TimeoutStopSec, and than one word of the keeper grants: it asks for more while the stop goes on."""
    log = tmp_path / "log"
    running = service({"w": taking(25, log)}, overrides="TimeoutStopSec=8")
    running.workers(1)
    running.systemctl("stop")
    assert lines_of(log) == ["up", "ended"]
    assert (running.show("ActiveState"), running.show("Result")) == ("inactive", "success")


@pytest.mark.timeout(120)
def test_a_daemon_reload_takes_nothing_from_the_time_that_a_stop_has(service: StartService, tmp_path: Path) -> None:
    """systemd forgets by it what the keeper asked for, and counts from the beginning of the stop."""
    log = tmp_path / "log"
    running = service({"w": taking(36, log)})
    running.workers(1)
    running.systemctl("stop", "--no-block")
    began = time.monotonic()
    until(lambda: time.monotonic() > began + 32, 40, "a stop longer than systemd would wait for a silent daemon")
    assert running.show("ActiveState") == "deactivating"
    command("systemctl", "daemon-reload")
    until(lambda: running.show("ActiveState") != "deactivating", 60, "the end of the stop")
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
