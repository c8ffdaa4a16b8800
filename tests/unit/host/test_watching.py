"""A file's changes are told whatever way its path leads to it; by the kernel itself, in a directory of our own."""

from __future__ import annotations

import ctypes
import os
import select
import shutil
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from errno import EACCES
from pathlib import Path

import pytest

from circus_cg.host import watching
from circus_cg.host.watching import Watching


class Reader:
    """Knows of `path` what it read when it was told to look."""

    def __init__(self, path: Path) -> None:
        self._path, self._watching = path, Watching(str(path))
        self.close = self._watching.close
        self.looks = 0
        self._look()

    def told(self) -> str | None:
        """What it knows, when nothing more is told; None: no such file."""
        while select.select([self._watching], [], [], 0)[0]:
            if self._watching.changed():
                self._look()
        return self._text

    def _look(self) -> None:
        self.looks += 1
        self._text = None
        with suppress(OSError):
            self._text = self._path.read_text()


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """v1/list says "1" and v2/list "2"."""
    for name in ("1", "2"):
        (tmp_path / f"v{name}").mkdir()
        (tmp_path / f"v{name}" / "list").write_text(name)
    return tmp_path


@pytest.fixture
def reader(place: Path, request: pytest.FixtureRequest) -> Iterator[Reader]:
    """Of `keys/list`, once the test's own parameter has made it."""
    request.param(place)
    with closing(Reader(place / "keys" / "list")) as found:
        assert found.told() == "1"
        yield found


def plain(place: Path) -> None:
    (place / "v1").rename(place / "keys")


def linked_directory(place: Path) -> None:
    (place / "keys").symlink_to("v1")


def linked_file(place: Path) -> None:
    (place / "keys").mkdir()
    (place / "keys" / "list").symlink_to(place / "v1" / "list")


def linked_twice(place: Path) -> None:
    """As Kubernetes has its secrets: list -> current/list, current -> ../v1."""
    (place / "keys").mkdir()
    (place / "keys" / "list").symlink_to("current/list")
    (place / "keys" / "current").symlink_to("../v1")


ALL = [plain, linked_directory, linked_file, linked_twice]
LINKED = ALL[1:]


def points(link: Path, target: str) -> None:
    """Atomically."""
    fresh = link.with_name("fresh")
    fresh.symlink_to(target)
    fresh.replace(link)


@pytest.mark.parametrize("reader", ALL, indirect=True)
def test_an_edit_is_told_and_so_is_a_new_file_in_its_place(reader: Reader, place: Path) -> None:
    real = (place / "keys" / "list").resolve()
    real.write_text("edited")
    assert reader.told() == "edited"
    (real.parent / "fresh").write_text("replaced")
    (real.parent / "fresh").replace(real)
    assert reader.told() == "replaced"
    real.unlink()
    assert reader.told() is None
    real.write_text("made anew")
    assert reader.told() == "made anew"


@pytest.mark.parametrize("reader", LINKED, indirect=True)
def test_a_link_that_is_pointed_elsewhere_is_told_and_where_it_leads_is_watched(reader: Reader, place: Path) -> None:
    links = {"keys": "v2", "keys/list": str(place / "v2" / "list"), "keys/current": "../v2"}
    name = [name for name in links if (place / name).is_symlink()][-1]
    points(place / name, links[name])
    assert reader.told() == "2"
    (place / "v2" / "list").write_text("edited there")
    assert reader.told() == "edited there"
    looks = reader.looks
    (place / "v1" / "list").write_text("nobody's any more")
    assert (reader.told(), reader.looks) == ("edited there", looks)


@pytest.mark.parametrize("reader", [plain], indirect=True)
def test_a_directory_that_is_moved_away_and_made_anew_is_watched_again(reader: Reader, place: Path) -> None:
    (place / "keys").rename(place / "keys.bak")
    assert reader.told() is None
    shutil.copytree(place / "keys.bak", place / "keys")
    assert reader.told() == "1"
    (place / "keys" / "list").write_text("edited")
    assert reader.told() == "edited"
    (place / "keys.bak" / "list").write_text("nobody's any more")
    assert reader.told() == "edited"


@pytest.mark.parametrize("reader", [plain, linked_directory], indirect=True)
def test_directories_above_it_may_be_exchanged_as_well(reader: Reader, place: Path) -> None:
    """And one after the other may come back."""
    away = place.with_name(f"{place.name}-away")
    place.rename(away)
    assert reader.told() is None
    place.mkdir()
    assert reader.told() is None
    (place / "keys").mkdir()
    (place / "keys" / "list").write_text("another")
    assert reader.told() == "another"
    shutil.rmtree(place)
    away.rename(place)
    assert reader.told() == "1"


@pytest.mark.parametrize("reader", [plain], indirect=True)
def test_an_edit_by_another_name_of_the_file_is_told(reader: Reader, place: Path) -> None:
    (place / "other").hardlink_to(place / "keys" / "list")
    (place / "other").write_text("edited")
    assert reader.told() == "edited"


@pytest.mark.parametrize(
    "change", [lambda path: path.chmod(0o666), lambda path: path.parent.chmod(0o777)], ids=["file", "directory"]
)
@pytest.mark.parametrize("reader", ALL, indirect=True)
def test_a_change_of_who_may_write_is_told(reader: Reader, place: Path, change: Callable[[Path], None]) -> None:
    reader.told()
    looks = reader.looks
    change(place / "keys" / "list")
    assert reader.told() == "1" and reader.looks > looks


@pytest.mark.parametrize("reader", ALL, indirect=True)
def test_what_happens_beside_the_way_is_no_reason_to_look(reader: Reader, place: Path) -> None:
    looks = reader.looks
    for name in ("beside", "keys/beside", "v2/beside"):
        if (place / name).parent.is_dir():
            (place / name).write_text("x")
            (place / name).unlink()
    assert (reader.told(), reader.looks) == ("1", looks)


@pytest.mark.parametrize("reader", [plain], indirect=True)
def test_events_that_the_kernel_had_no_room_for_are_a_reason_to_look(reader: Reader, place: Path) -> None:
    most = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())
    looks, beside = reader.looks, [place / "a", place / "b"]
    beside[0].touch()
    for turn in range(most):
        beside[turn % 2].rename(beside[1 - turn % 2])
    (place / "keys" / "list").write_text("lost")
    assert reader.told() == "lost" and reader.looks == looks + 1


def test_a_loop_of_links_ends_and_is_watched(place: Path) -> None:
    (place / "keys").symlink_to("keys")
    with closing(Reader(place / "keys" / "list")) as reader:
        assert reader.told() is None
        points(place / "keys", "v2")
        assert reader.told() == "2"


class Unwatchable:
    """libc, but for one directory that can't be watched."""

    def __init__(self, directory: Path) -> None:
        self._libc, self._directory = ctypes.CDLL(None, use_errno=True), os.fsencode(directory)

    def CDLL(self, *_: object, **__: object) -> Unwatchable:  # ctypes' own name
        return self

    def get_errno(self) -> int:
        return EACCES

    def inotify_add_watch(self, fd: int, path: bytes, mask: int) -> int:
        if path == self._directory:
            return -1
        return int(self._libc.inotify_add_watch(fd, path, mask))

    def __getattr__(self, name: str) -> object:
        return getattr(self._libc, name)


@pytest.mark.parametrize("make", [plain, linked_directory])
def test_only_what_may_lead_elsewhere_unseen_must_be_watched(
    place: Path, monkeypatch: pytest.MonkeyPatch, make: Callable[[Path], None]
) -> None:
    """A user's daemon may not read each directory on the way to its own; if a link is in there, that is said."""
    make(place)
    monkeypatch.setattr(watching, "ctypes", Unwatchable(place))
    if make is plain:
        with closing(Reader(place / "keys" / "list")) as reader:
            (place / "keys" / "list").write_text("edited")
            assert reader.told() == "edited"
        return
    with pytest.raises(PermissionError, match=str(place)):
        Watching(str(place / "keys" / "list"))
