"""Across boots: `./dev vm` visits this module before and after a reboot, and again after the power was cut.

It selects a visit's tests by their mark, so that a visit without a test is a failure.
What one visit leaves for the next lies in /var/lib: a file that each life of the worker writes to.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.conftest import until
from tests.functional.daemon import PROGRAM
from tests.functional.evidence import alive, children_of, lines_of, quoted, sh
from tests.functional.system.service import CONFIG, command, in_guest_of_our_own, unit_of

NAME, UNIT = "boots", "circus-cg-boots.service"
EVIDENCE = Path("/var/lib/circus-cg-boots")
LOG, STOPS = EVIDENCE / "log", EVIDENCE / "stops"
BOOT_ID = "$(cat /proc/sys/kernel/random/boot_id)"  # in a shell
BOOT = Path("/proc/sys/kernel/random/boot_id").read_text().strip()

pytestmark = in_guest_of_our_own


def worker() -> int:
    def sleeping() -> list[int]:
        keeper = int(command("systemctl", "show", "--value", "--property=MainPID", UNIT))
        return [pid for pid, line in children_of(keeper).items() if line.startswith("/bin/sh ")] if keeper else []

    (pid,) = until(sleeping, 60, "the worker")
    return pid


def unit_is(key: str) -> str:
    return command("systemctl", "show", "--value", f"--property={key}", UNIT).strip()


@pytest.mark.visit(when="before")
def test_an_enabled_unit_runs_before_the_reboot() -> None:
    EVIDENCE.mkdir()
    stop = f"trap 'echo {BOOT_ID} >> {quoted(STOPS)}; exit 0' TERM"
    script = f"echo {BOOT_ID} >> {quoted(LOG)}; sync; {stop}; sleep 100000 & wait"
    config = CONFIG / f"{NAME}.yaml"
    config.touch(mode=0o600)
    watchers = {"w": {"cmd": sh(script), "limits": {"memory_max": "64M"}}, "off": {"cmd": ["sleep", "1000"]}}
    config.write_text(yaml.safe_dump({"name": NAME, "watchers": watchers}))
    command(PROGRAM, "install-unit", "--config", str(config), "--enable")
    worker()
    until(lambda: lines_of(LOG) == [BOOT], why="the worker's line")
    command(PROGRAM, "ctl", "--name", NAME, "stop", "off")
    os.sync()


@pytest.mark.visit(when="rebooted")
def test_a_reboot_stopped_the_workers_in_order_and_the_unit_runs_again() -> None:
    pid = worker()
    until(lambda: len(lines_of(LOG)) == 2, why="the second life")
    first, second = lines_of(LOG)
    assert first != second == BOOT
    assert lines_of(STOPS) == [first]
    assert (unit_is("ActiveState"), unit_is("NRestarts"), unit_of(pid)) == ("active", "0", UNIT)


@pytest.mark.visit(when="rebooted")
def test_what_the_operator_stopped_ran_again_after_the_reboot() -> None:
    """What was asked of a running daemon lasts as long as the daemon."""

    def is_active() -> bool:
        done = subprocess.run([PROGRAM, "ctl", "--name", NAME, "status", "--json"], capture_output=True, check=False)
        return done.returncode == 0 and json.loads(done.stdout)["statuses"] == {"w": "active", "off": "active"}

    until(is_active, 30, "both watchers")


@pytest.mark.visit(when="power-cut")
def test_after_a_power_cut_the_next_boot_is_clean() -> None:
    pid = worker()
    until(lambda: BOOT in lines_of(LOG), why="this boot's life")
    log = lines_of(LOG)
    assert len(log) == len(set(log)) == 3
    assert lines_of(STOPS) == log[:1]  # nobody could say good-bye
    assert (unit_is("ActiveState"), unit_is("NRestarts"), unit_of(pid)) == ("active", "0", UNIT)
    command(PROGRAM, "ctl", "--name", NAME, "restart")
    assert not alive(pid)
    command("systemctl", "disable", "--now", UNIT)
    Path("/etc/systemd/system", UNIT).unlink()
    shutil.rmtree(EVIDENCE)
