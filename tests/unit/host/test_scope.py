"""Which unit a process is in, by the kernel's words in each layout; who is ended before a scope is entered."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from circus_cg.errors import AlreadyRunning
from circus_cg.host import scope
from circus_cg.host.scope import Unit, members, unit_of

V1 = "9:memory:/user.slice\n3:cpu,cpuacct:/\n1:name=systemd:/user.slice/user-0.slice/session-2.scope\n"


@pytest.mark.parametrize(
    ("memberships", "unit"),
    [
        ("0::/user.slice/user-0.slice/session-1.scope\n", Unit("session-1.scope", False)),
        ("0::/system.slice/circus-cg-shop.service\n", Unit("circus-cg-shop.service", False)),
        (V1, Unit("session-2.scope", False)),
        (V1 + "0::/user.slice/user-0.slice/session-2.scope\n", Unit("session-2.scope", False)),
        ("0::/user.slice/user-7.slice/user@7.service/app.slice/x.scope\n", Unit("x.scope", True)),
        ("0::/user.slice/user-7.slice/user@7.service\n", Unit("user@7.service", False)),
        ("0::/\n", None),
        ("0::/init.scope\n", None),
        ("0::/system.slice/docker-1.scope/inner\n", None),
        ("0::/system.slice/x.service/circus-cg/shop/@daemon\n", None),
        ("4:memory:/x.service\n", None),
        ("", None),
    ],
)
def test_the_unit_is_the_last_part_of_systemds_own_path(memberships: str, unit: Unit | None) -> None:
    assert unit_of(memberships) == unit


def test_who_may_be_a_scopes_daemon_is_in_it_or_in_a_daemons_leaf_in_systemds_own_hierarchy(tmp_path: Path) -> None:
    group = "/user.slice/circus-cg-shop.scope"
    memberships = {
        1: b"0::/init.scope\n",
        20: f"0::{group}/circus-cg/shop/@daemon\n".encode(),
        3: f"5:memory:/elsewhere\n1:name=systemd:{group}\n0::/elsewhere\n".encode(),
        40: f"0::{group}2\n".encode(),
        41: f"0::{group}2/circus-cg/shop/@daemon\n".encode(),
        30: f"0::{group}/circus-cg/shop/web/1.1\n".encode(),
        31: f"0::{group}/circus-cg/shop/web/1.1/circus-cg/inner/@daemon\n".encode(),
        50: b"0::/\xe9\n",
    }
    for pid, text in memberships.items():
        (tmp_path / str(pid)).mkdir()
        (tmp_path / str(pid) / "cgroup").write_bytes(text)
    (tmp_path / "60").mkdir()  # it has ended
    (tmp_path / "self").mkdir()
    assert members(group, "shop", str(tmp_path)) == [3, 20]
    assert members("", "shop", str(tmp_path)) == []


class Entered(Exception):
    pass


@pytest.fixture
def systemd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A systemctl that writes down what it is asked, and knows one scope, of our own process; `deaf`: it can't tell."""
    told = tmp_path / "told"
    group = scope._path(Path("/proc/self/cgroup").read_text())
    script = f"""#!/bin/sh
echo "$*" >> {told}
case "$*" in *show*) [ ! -e {tmp_path}/deaf ] && echo {group} ;; esac
"""
    (tmp_path / "systemctl").write_text(script)
    (tmp_path / "systemctl").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr(scope, "is_asked_for", lambda: True)

    def entered(*_: object) -> None:
        raise Entered

    monkeypatch.setattr(os, "execvpe", entered)
    return told


def verbs(told: Path) -> list[str]:
    words = [line.removeprefix("--user ").split()[0] for line in told.read_text().splitlines()]
    told.unlink()
    return words


def test_a_live_daemon_in_the_scope_is_refused_and_not_killed(systemd: Path) -> None:
    def refuse(name: str, pids: list[int]) -> None:
        assert name == "shop" and os.getpid() in pids
        raise AlreadyRunning("it lives")

    with pytest.raises(AlreadyRunning):
        scope.enter("shop", refuse)
    assert verbs(systemd) == ["show"]


def test_what_a_dead_daemon_left_in_the_scope_is_ended_but_nothing_that_nobody_knows(systemd: Path) -> None:
    with pytest.raises(Entered):
        scope.enter("shop", lambda *_: None)
    assert verbs(systemd) == ["show", "kill", "stop"]
    systemd.with_name("deaf").touch()
    with pytest.raises(Entered):
        scope.enter("shop", lambda *_: None)
    assert verbs(systemd) == ["show"]
