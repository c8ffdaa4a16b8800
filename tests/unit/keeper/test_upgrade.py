"""An upgrade's decisions, with real processes in the place of the installed code."""

from __future__ import annotations

import os
import select
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from circus_cg.keeper import succession
from circus_cg.keeper.link import ArbiterLink
from circus_cg.keeper.upgrade import Stage, Upgrade

SEAL = """\
#!{python} -IS
import json, os, socket
def sealed(text):
    fd = os.memfd_create("x")
    os.write(fd, text.encode())
    return fd
image = dict(digest={digest!r}, python="/new/python", version="2")
record = dict(arbiter=dict(argv=["a"], env=dict()), image=image, watchers=0, warnings=[])
fds = [sealed(json.dumps(record)), sealed("boot"), sealed("image")]
socket.send_fds(socket.socket(fileno=3), [b"{{\\"sealed\\": 1}}"], fds)
"""


class Running:
    """What the keeper does for it."""

    def __init__(self, python: str) -> None:
        self.epoll = select.epoll()
        fds = [os.memfd_create(name) for name in ("boot", "image", "kept")]
        image = {"digest": "same", "python": python, "fd": fds[1], "launcher": None}
        self.boot: dict[str, Any] = {
            "arbiter": {"argv": [], "env": {}},
            "pass_fds": fds[:2],
            "keep_fds": fds[2:],
            "control": {"path": "/run/x"},
            "instance": "i",
            "source": {"python": sys.executable},
            "image": image,
            "places": [],
        }
        self.told: list[str] = []

    def record(self) -> dict[str, Any]:
        return self.boot

    def state(self) -> dict[str, Any]:
        return {}

    def go_by(self, boot: dict[str, Any]) -> None:
        self.boot = boot

    def watch(self, fd: int) -> None:
        self.epoll.register(fd, select.EPOLLIN)

    def unwatch(self, fd: int) -> None:
        self.epoll.unregister(fd)

    def upgraded(self, text: str) -> None:
        self.told.append(text)

    def close(self) -> None:
        for fd in succession.held_fds(self.boot):
            os.close(fd)
        self.epoll.close()


@pytest.fixture
def running() -> Iterator[Running]:
    keeper = Running(sys.executable)
    yield keeper
    keeper.close()


def begun(keeper: Running, python: object) -> Upgrade:
    upgrade = Upgrade(keeper, ArbiterLink(keeper.boot), None)
    upgrade.begin(python, 0.0)
    return upgrade


def program(tmp_path: Path, text: str) -> str:
    path = tmp_path / "python"
    path.write_text(text)
    path.chmod(0o755)
    return str(path)


def test_one_that_has_not_ended_is_not_waited_for(tmp_path: Path, running: Running) -> None:
    """An event of the process before it, whose descriptor had the same number, may come with it."""
    upgrade = begun(running, program(tmp_path, "#!/bin/sh\nexec sleep 1000\n"))
    child = upgrade.child
    upgrade.on_errand_ended(0.0)
    assert (upgrade.stage, upgrade.child) == (Stage.SEALING, child) and child is not None
    upgrade.abandon("the test is over")
    assert upgrade.stage is Stage.OVER


@pytest.mark.parametrize("python", [5, "", "python3", "a\0b", "/a\0b", "/\ud800", ["/bin/true"]])
def test_what_is_no_path_of_a_python_is_refused_and_the_next_upgrade_is_not(running: Running, python: object) -> None:
    assert begun(running, python).stage is Stage.OVER
    assert len(running.told) == 1 and "is no absolute path of a Python" in running.told[0]


def sealed(tmp_path: Path, keeper: Running, digest: str) -> Upgrade:
    upgrade = begun(keeper, program(tmp_path, SEAL.format(python=sys.executable, digest=digest)))
    while upgrade.stage is Stage.SEALING:
        assert keeper.epoll.poll(20), "the seal did not end"
        upgrade.on_errand_ended(0.0)
    return upgrade


def test_a_keeper_that_stays_remembers_where_its_python_is_now(tmp_path: Path, running: Running) -> None:
    """The installation that it came from may be removed: it is what a later upgrade returns to."""
    upgrade = sealed(tmp_path, running, "same")
    assert upgrade.stage is Stage.STARTING
    assert running.boot["image"]["python"] == "/new/python"
    upgrade.on_ready(serving=True)
    assert running.told == ["upgraded to 2, keeper kept"]


def test_a_keeper_that_stays_remembers_nothing_of_an_installation_that_failed(tmp_path: Path, running: Running) -> None:
    upgrade = sealed(tmp_path, running, "same")
    upgrade.on_deadline(upgrade.deadline)
    assert upgrade.stage is Stage.RETURNING
    assert running.boot["image"]["python"] == sys.executable
    upgrade.abandon("the test is over")


def test_without_a_way_back_nothing_is_begun(tmp_path: Path, running: Running) -> None:
    running.boot["image"]["python"] = str(tmp_path / "removed")
    before = running.boot
    assert sealed(tmp_path, running, "another").stage is Stage.OVER
    assert running.boot is before and "restart the daemon" in running.told[0]
