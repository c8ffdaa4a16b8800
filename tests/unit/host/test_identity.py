"""Identity: names become numbers, and a user brings its groups unless told otherwise."""

from __future__ import annotations

import grp
import os
import pwd

import pytest

from circus_cg.errors import HostError
from circus_cg.host.identity import Identity, resolve
from circus_cg.spec import WatcherSpec

USER = pwd.getpwuid(1)  # every distribution has one beside root
GROUP = grp.getgrgid(USER.pw_gid)
UNUSED = 2**31 - 7


def watcher(
    uid: str | int | None = None, gid: str | int | None = None, groups: tuple[str | int, ...] | None = None
) -> WatcherSpec:
    return WatcherSpec(name="web", cmd=("serve",), uid=uid, gid=gid, groups=groups)


def test_who_names_nobody_stays_who_the_daemon_is() -> None:
    assert resolve(watcher()) == Identity()


@pytest.mark.parametrize("user", [USER.pw_name, USER.pw_uid])
def test_a_user_brings_its_own_groups(user: str | int) -> None:
    groups = os.getgrouplist(USER.pw_name, USER.pw_gid)
    assert resolve(watcher(user)) == Identity(uid=USER.pw_uid, gid=USER.pw_gid, groups=groups)


def test_named_groups_go_before_the_user_s_own() -> None:
    assert resolve(watcher(USER.pw_uid, 7, (8, GROUP.gr_name))) == Identity(
        uid=USER.pw_uid, gid=7, groups=[8, GROUP.gr_gid]
    )
    assert resolve(watcher(gid=GROUP.gr_name)) == Identity(gid=GROUP.gr_gid)
    assert resolve(watcher(groups=())) == Identity(groups=[])


def test_a_number_without_an_entry_needs_its_group_and_keeps_none_of_the_daemon_s() -> None:
    assert resolve(watcher(UNUSED, 5)) == Identity(uid=UNUSED, gid=5, groups=[])
    with pytest.raises(HostError, match="give its gid"):
        resolve(watcher(UNUSED))


@pytest.mark.parametrize(
    "missing", [watcher("no-such-user"), watcher(gid="no-such-group"), watcher(groups=("no-such-group",))]
)
def test_a_missing_name_is_told_with_its_watcher(missing: WatcherSpec) -> None:
    with pytest.raises(
        HostError, match=r"^cannot run watcher 'web': no (user|group) is named 'no-such-(user|group)'; "
    ):
        resolve(missing)
