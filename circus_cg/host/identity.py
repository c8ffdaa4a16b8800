"""Names of users and groups -> the numbers a worker runs with; and what else of a worker is found on the host."""

from __future__ import annotations

import grp
import os
import pwd

import msgspec

from circus_cg.errors import HostError
from circus_cg.host import virtualenv
from circus_cg.host.virtualenv import Virtualenv
from circus_cg.spec import WatcherSpec


class Identity(msgspec.Struct, frozen=True, kw_only=True):
    """None leaves the daemon's own."""

    uid: int | None = None
    gid: int | None = None
    groups: list[int] | None = None  # supplementary
    variables: dict[str, str] = {}  # of env_file, as they were when the watcher was made or changed
    virtualenv: Virtualenv | None = None


def resolve(spec: WatcherSpec) -> Identity:
    """A user brings its own group and supplementary groups, unless the watcher names others. Raises HostError."""
    user = None if spec.uid is None else _user(spec.uid, spec.name)
    uid = spec.uid if isinstance(spec.uid, int) else user and user.pw_uid
    if spec.gid is not None:
        gid = _group(spec.gid, spec.name)
    elif user is not None:
        gid = user.pw_gid
    elif uid is not None:
        raise HostError(f"cannot run watcher {spec.name!r}: no user has the number {uid}; give its gid as well")
    else:
        gid = None
    groups = None if spec.groups is None else [_group(one, spec.name) for one in spec.groups]
    if groups is None and uid is not None:
        groups = [] if user is None or gid is None else os.getgrouplist(user.pw_name, gid)
    return Identity(uid=uid, gid=gid, groups=groups, virtualenv=virtualenv.find(spec))


def _user(user: str | int, watcher: str) -> pwd.struct_passwd | None:
    """A number needs no entry, a name does."""
    try:
        return pwd.getpwuid(user) if isinstance(user, int) else pwd.getpwnam(user)
    except KeyError:
        if isinstance(user, int):
            return None
        raise HostError(
            f"cannot run watcher {watcher!r}: no user is named {user!r}; create it or correct uid"
        ) from None


def _group(group: str | int, watcher: str) -> int:
    if isinstance(group, int):
        return group
    try:
        return grp.getgrnam(group).gr_gid
    except KeyError:
        raise HostError(
            f"cannot run watcher {watcher!r}: no group is named {group!r}; create it or correct gid and groups"
        ) from None
