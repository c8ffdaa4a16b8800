"""Which descriptors the keeper holds when an upgrade is over: those that its record speaks of, and no other."""

from __future__ import annotations

import os
from typing import Any, cast

import pytest

from circus_cg.keeper import succession
from circus_cg.keeper.link import ArbiterLink
from circus_cg.keeper.upgrade import DEATHS, Upgrade


class Arbiter:
    """One that dies whenever it should be ready."""

    pid: int | None = 1

    def kill(self) -> None:
        self.pid = None


class Keeper:
    """Goes by what it is told to."""

    def __init__(self, boot: dict[str, Any]) -> None:
        self.boot = boot
        self.arbiter = Arbiter()

    def record(self) -> dict[str, Any]:
        return self.boot

    def state(self) -> dict[str, Any]:
        return {}

    def go_by(self, boot: dict[str, Any]) -> None:
        self.boot = boot

    def watch(self, fd: int) -> None:
        """There is nothing to wait for."""

    def unwatch(self, fd: int) -> None:
        """As `watch`."""

    def upgraded(self, text: str) -> None:
        """Nobody waits."""


def made(name: str, pass_fds: list[int]) -> dict[str, Any]:
    fd, launcher = (os.memfd_create(f"{name}-{what}") for what in ("image", "launcher"))
    return {
        "pass_fds": pass_fds,
        "keep_fds": [],
        "image": {"fd": fd, "launcher": launcher},
        "version": name,
        "watchers": 0,
        "warnings": [],
    }


def is_open(fd: int) -> bool:
    try:
        os.fstat(fd)
    except OSError:
        return False
    return True


@pytest.mark.parametrize("kept_before", [False, True])
@pytest.mark.parametrize("end", ["upgraded", "rolled back", "not begun"])
def test_what_no_record_speaks_of_any_more_is_closed_and_nothing_else(end: str, *, kept_before: bool) -> None:
    old = made("old", [os.memfd_create("old-boot")])
    # What arbiters run is another image than the keeper's own after an upgrade that the keeper stayed through.
    old["pass_fds"].append(os.memfd_create("arbiter-image") if kept_before else old["image"]["fd"])
    new = made("new", [os.memfd_create("new-boot")])
    new["pass_fds"].append(new["image"]["fd"])
    all_of_them = {*succession.held_fds(old), *succession.held_fds(new)}
    keeper = Keeper(old if end == "not begun" else new)  # what runs is its image
    upgrade = Upgrade(keeper, cast(ArbiterLink, keeper.arbiter), None)
    upgrade.resumed(old, new, "it is broken" if end == "not begun" else None, 0.0)
    for _ in range(DEATHS if end == "rolled back" else 0):
        upgrade.on_arbiter_gone(0.0)
    keeper.arbiter.pid = 2
    upgrade.on_ready(serving=True)
    left = set(succession.held_fds(keeper.boot))
    assert {fd for fd in all_of_them if is_open(fd)} == left
    running = old if end == "not begun" else new
    assert keeper.boot["image"] == running["image"]
    assert keeper.boot["pass_fds"] == (new if end == "upgraded" else old)["pass_fds"]
    for fd in left:
        os.close(fd)
