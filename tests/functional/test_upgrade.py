"""Upgrade in place: new code and a new configuration take over; workers, pids and exit statuses stay."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

import circus_cg
from tests.conftest import SLOWNESS, until
from tests.functional.conftest import StartDaemon
from tests.functional.daemon import Daemon, Refused
from tests.functional.evidence import alive, arbiter_of, launcher_of, lines_of, quoted, sh

SLEEP = ["sleep", "1000"]


def test_one(daemon: StartDaemon) -> None:
    running = daemon(watchers={"w": {"cmd": SLEEP, "numprocesses": 3}})
    before = {row["wid"]: row["pid"] for row in running.wait_phase("w", count=3)}
    old = arbiter_of(running.pid)
    print(running.ctl("upgrade"))
    assert arbiter_of(running.pid) != old
    assert {row["wid"]: row["pid"] for row in running.wait_phase("w", count=3)} == before
    running.write_config({"watchers": {"w": {"cmd": SLEEP, "numprocesses": 2}, "v": {"cmd": SLEEP}}})
    running.ctl("upgrade")
    running.wait_phase("v")
    running.wait_phase("w", count=2)
