"""Where the directories are; one that others could put their own in the place of is not used."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from circus_cg.errors import HostError
from circus_cg.host.dirs import SOCKET_PATH_MAX, Dirs, anothers, is_locked, lock, make, of, wait_unlocked

UID, GID = os.geteuid(), os.getegid()


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Two levels that are not there yet, below one that is ours alone."""
    base = tmp_path / "base"
    base.mkdir(mode=0o755)
    return base / "circus-cg" / "shop"


def test_what_only_this_user_and_root_can_change_is_safe(place: Path) -> None:
    assert anothers(place, UID, GID) is None
    place.mkdir(parents=True)
    assert anothers(place, UID, GID) is None


def test_what_was_there_first_of_somebody_else_is_not(place: Path) -> None:
    """Whose the nearest parent is: as root, somebody who isn't; else this user, for another one."""
    place.parent.mkdir()
    who = UID + 1
    if UID == 0:
        os.chown(place.parent, who + 1, GID)
    told = str(anothers(place, who, GID))
    assert told.endswith(f"belongs to user {who + 1 if UID == 0 else UID}")


@pytest.mark.parametrize(("mode", "safe"), [(0o777, False), (0o1777, True), (0o775, True), (0o757, False)])
def test_a_directory_that_others_can_write_is_not_unless_each_keeps_his_own(place: Path, mode: int, safe: bool) -> None:
    base = place.parents[1]
    base.chmod(mode)
    found = anothers(place, UID, GID)
    assert found is None if safe else found == f"others can write {base}"


def test_where_a_link_leads_counts_too(place: Path, tmp_path: Path) -> None:
    open_to_all = tmp_path / "open"
    open_to_all.mkdir()
    open_to_all.chmod(0o777)
    place.parent.symlink_to(open_to_all)
    assert anothers(place, UID, GID) == f"others can write {open_to_all}"


def test_what_may_not_be_looked_at_is_not_safe(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As root nothing is hidden: the kernel's word is put into its mouth."""

    def lstat(path: Path) -> os.stat_result:
        if path == place:
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return os.lstat(path)

    monkeypatch.setattr(Path, "lstat", lstat)
    assert anothers(place, UID, GID) == f"{place}: Permission denied"


@pytest.mark.parametrize("letter", ["x", "ä"])
def test_a_socket_s_path_is_counted_in_bytes_before_anything_is_made(place: Path, letter: str) -> None:
    room = SOCKET_PATH_MAX - len(os.fsencode(place / "control.sock"))
    fits = place.with_name(place.name + letter * (room // len(letter.encode())))
    make(Dirs(fits, fits.with_name("state")))
    assert fits.is_dir()
    too_long = fits.with_name(fits.name + letter)
    with pytest.raises(HostError, match="bytes, over 107; set CIRCUS_CG_RUNTIME_DIR"):
        make(Dirs(too_long, too_long.with_name("anothers-state")))
    assert sorted(fits.parent.iterdir()) == sorted([fits, fits.with_name("state")])


@pytest.mark.parametrize("which", Dirs._fields)
@pytest.mark.parametrize("base", ["/proc/circus-cg", "/dev/null/circus-cg", "/proc/version"])
def test_one_that_can_t_be_made_is_told_with_its_cause_and_what_to_set(place: Path, which: str, base: str) -> None:
    dirs = Dirs(place, place.with_name("state"))._replace(**{which: Path(base) / "shop"})
    with pytest.raises(HostError, match=rf"^cannot use {base}/shop: {base}: .*; set CIRCUS_CG_{which.upper()}_DIR to"):
        make(dirs)


@pytest.mark.parametrize("which", Dirs._fields)
def test_what_stands_in_its_place_is_told_with_what_to_set(place: Path, which: str) -> None:
    dirs = Dirs(place, place.with_name("state"))
    place.parent.mkdir()
    getattr(dirs, which).touch()
    with pytest.raises(HostError, match=f"not a directory .*; remove it or set CIRCUS_CG_{which.upper()}_DIR"):
        make(dirs)


def test_what_stands_in_the_lock_s_place_is_told(place: Path) -> None:
    dirs = Dirs(place, place.with_name("state"))
    make(dirs)
    (place / "lock").symlink_to("elsewhere")
    told = f"{place}/lock: Too many levels of symbolic links; remove it, or set CIRCUS_CG_RUNTIME_DIR"
    with pytest.raises(HostError, match=f"^cannot lock {told}"):
        lock(dirs, "shop")
    for ask in (is_locked, wait_unlocked):
        with pytest.raises(HostError, match=f"^cannot look at {told}"):
            ask(dirs)


def test_below_a_file_no_daemon_lives(place: Path) -> None:
    place.parent.mkdir()
    place.touch()
    below = Dirs(place / "run", place / "state")
    assert anothers(below.runtime, UID, GID) is None
    assert not is_locked(below)
    wait_unlocked(below)


@pytest.fixture
def user(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not root, and nothing is said about directories."""
    monkeypatch.setattr(os, "geteuid", lambda: 7)
    monkeypatch.setenv("HOME", "/home/seven")
    for variable in ("XDG_RUNTIME_DIR", "XDG_STATE_HOME", "CIRCUS_CG_RUNTIME_DIR", "CIRCUS_CG_STATE_DIR"):
        monkeypatch.delenv(variable, raising=False)


THEIR_OWN = Dirs(Path("/tmp/circus-cg-7/circus-cg/shop"), Path("/home/seven/.local/state/circus-cg/shop"))


@pytest.mark.usefixtures("user")
def test_a_user_s_directories_are_where_the_variables_say(monkeypatch: pytest.MonkeyPatch) -> None:
    assert of("shop") == THEIR_OWN
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/run/user/7")
    monkeypatch.setenv("XDG_STATE_HOME", "/state")
    assert of("shop") == Dirs(Path("/run/user/7/circus-cg/shop"), Path("/state/circus-cg/shop"))
    monkeypatch.setenv("CIRCUS_CG_RUNTIME_DIR", "/a")
    monkeypatch.setenv("CIRCUS_CG_STATE_DIR", "/b")
    assert of("shop") == Dirs(Path("/a/shop"), Path("/b/shop"))


@pytest.mark.usefixtures("user")
@pytest.mark.parametrize("said", ["", "relative/one"])
def test_of_xdgs_variables_an_empty_or_relative_one_says_nothing(monkeypatch: pytest.MonkeyPatch, said: str) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", said)
    monkeypatch.setenv("XDG_STATE_HOME", said)
    assert of("shop") == THEIR_OWN


@pytest.mark.usefixtures("user")
@pytest.mark.parametrize("variable", ["CIRCUS_CG_RUNTIME_DIR", "CIRCUS_CG_STATE_DIR"])
def test_of_our_own_an_empty_one_says_nothing_and_a_relative_one_is_refused(
    monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.setenv(variable, "")
    assert of("shop") == THEIR_OWN
    monkeypatch.setenv(variable, "run")
    with pytest.raises(HostError, match=f"^cannot use {variable}='run': not an absolute path; begin it with /"):
        of("shop")
