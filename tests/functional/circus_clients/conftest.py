"""circus's programs, as they are installed, against a daemon of ours."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import SLOWNESS
from tests.functional.conftest import StartDaemon
from tests.functional.daemon import Daemon

Circusctl = Callable[..., str]
SLEEP = ["sleep", "1000"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.host_may_lack("circus is a tool of development"))


def circus_script(name: str) -> list[str]:
    """The console script of that name, whose warnings are circus's own affair."""
    return [sys.executable, "-W", "ignore", str(Path(sys.executable).with_name(name))]


@pytest.fixture
def running(daemon: StartDaemon) -> Daemon:
    if importlib.util.find_spec("circus") is None:
        pytest.skip("circus is not installed")
    started = daemon(watchers={"w": {"cmd": SLEEP, "numprocesses": 2}, "web": {"cmd": SLEEP}})
    started.wait_phase("w", count=2)
    return started


@pytest.fixture
def endpoint(running: Daemon) -> str:
    return f"ipc://{running.directory}/run/{running.name}/control.sock"


@pytest.fixture
def pubsub(running: Daemon) -> str:
    found: str = running.ctl("globaloptions", "pubsub_endpoint")["options"]["pubsub_endpoint"]
    return found


@pytest.fixture
def circusctl(running: Daemon, endpoint: str) -> Circusctl:
    def call(*arguments: str) -> str:
        command = [*circus_script("circusctl"), "--endpoint", endpoint, "--timeout", "30", *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60 * SLOWNESS, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout.strip()

    return call


@pytest.fixture
def program(endpoint: str, pubsub: str) -> Callable[[str], str]:
    """A program that uses circus as a library; it finds our endpoints in ENDPOINT and PUBSUB."""

    def run(code: str) -> str:
        environment = {**os.environ, "ENDPOINT": endpoint, "PUBSUB": pubsub}
        command = [sys.executable, "-W", "ignore", "-c", code]
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=60 * SLOWNESS, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout.strip()

    return run
