"""The history's file: what is written is there, bounded by age and size, and a broken file is put aside."""

from __future__ import annotations

import sqlite3
import stat
from pathlib import Path
from typing import Any

import pytest

from circus_cg.arbiter.store import COARSE, COARSE_AFTER, Store, Usage, is_broken, read_events, read_usage, watchers
from circus_cg.core.wanted import Wanted

DAY = 86400.0


def event(at: float, watcher: str = "web", kind: str = "exit", wid: int | None = 1, **more: Any) -> dict[str, Any]:
    return {"seq": int(at), "id": int(at), "cause": 0, "at": at, "watcher": watcher, "wid": wid, "kind": kind, **more}


def usage(at: float, watcher: str = "web", span: float = 60.0, **more: float | None) -> Usage:
    unknown = dict.fromkeys(Usage._fields[3:])
    return Usage(watcher=watcher, at=at, span=span, **{**unknown, **more})


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "history.sqlite"


def test_what_was_written_is_read_oldest_first_by_whoever_opens_it(path: Path) -> None:
    store = Store(path)
    store.write([event(1.0, detail="first"), event(2.0, kind="decision", inputs={"a": [1, None]})])
    store.write([event(3.0, watcher="gone")], [usage(3.0, cpu=0.5)])
    assert [found["at"] for found in read_events(path, Wanted())] == [1.0, 2.0, 3.0]
    assert read_events(path, Wanted(kinds=["decision"]))[0]["inputs"] == {"a": [1, None]}
    assert read_usage(path, Wanted()) == [usage(3.0, cpu=0.5)._asdict()]
    assert sorted(watchers(path)) == ["gone", "web"]
    assert store.put_aside == ""


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (Wanted(limit=2), [4.0, 5.0]),
        (Wanted(watchers=["db"]), [4.0]),
        (Wanted(watchers=[]), []),
        (Wanted(wid=2), [2.0]),
        (Wanted(kinds=["ready", "nothing"]), [3.0]),
        (Wanted(since=2.0, until=4.0), [2.0, 3.0, 4.0]),
        (Wanted(watchers=["web"], since=4.5), [5.0]),
    ],
)
def test_what_is_wanted_is_found(path: Path, wanted: Wanted, found: list[float]) -> None:
    written = [event(1.0), event(2.0, wid=2), event(3.0, kind="ready"), event(4.0, watcher="db"), event(5.0)]
    Store(path).write(written)
    assert [one["at"] for one in read_events(path, wanted)] == found


def test_what_is_in_the_file_is_for_its_owner_alone(path: Path) -> None:
    store = Store(path)
    store.write([event(1.0)])
    modes = {one.name: stat.S_IMODE(one.stat().st_mode) for one in path.parent.iterdir()}
    assert len(modes) == 3 and set(modes.values()) == {0o600}
    store.close()


def test_a_link_or_a_directory_in_its_place_is_refused(path: Path, tmp_path: Path) -> None:
    target = tmp_path / "elsewhere"
    target.write_text("precious")
    path.symlink_to(target)
    with pytest.raises(OSError, match="symbolic"):
        Store(path)
    assert target.read_text() == "precious"


def test_what_is_too_old_is_dropped(path: Path) -> None:
    store = Store(path)
    store.write([event(day * DAY) for day in range(10)], [usage(day * DAY) for day in range(10)])
    store.prune(10 * DAY, 3.5 * DAY, 64 << 20)
    assert [one["at"] / DAY for one in read_events(path, Wanted())] == [7, 8, 9]
    assert [one["at"] / DAY for one in read_usage(path, Wanted())] == [7, 8, 9]


def test_the_file_stays_within_its_size_and_keeps_the_newest(path: Path) -> None:
    store, most = Store(path), 2 << 20
    number = 0
    for _ in range(12):
        store.write([event(float(number + i), detail="x" * 900) for i in range(1000)])
        number += 1000
        store.prune(number, DAY, most)
        assert sum(one.stat().st_size for one in path.parent.iterdir()) <= most + (64 << 10), "beyond its size"
    kept = [one["at"] for one in read_events(path, Wanted(limit=100_000))]
    assert kept[-1] == number - 1 and len(kept) > 500
    assert kept == sorted(kept) and kept[0] == number - len(kept), "the oldest went, without a hole"


def test_old_samples_become_coarse_and_keep_their_means_and_peaks(path: Path) -> None:
    store, begin = Store(path), 10 * float(COARSE)
    samples = [usage(begin + 60 * i, cpu=float(i), memory=100.0, memory_most=float(100 + i)) for i in range(15)]
    recent = usage(begin + COARSE_AFTER + 2 * COARSE, cpu=7.0)
    alone = usage(begin + 5 * COARSE, watcher="alone", cpu=1.0)
    nothing = usage(begin, watcher="db", cpu=None)
    store.write([], [*samples, nothing, usage(begin + 60, watcher="db", cpu=3.0), recent, alone])
    for _ in range(2):  # what is coarse already stays as it is
        store.prune(begin + COARSE_AFTER + 2 * COARSE, 30 * DAY, 64 << 20)
        one, db, web, new = sorted(read_usage(path, Wanted()), key=lambda one: (one["watcher"], one["at"]))
        assert (web["span"], web["cpu"], web["memory"], web["memory_most"]) == (900.0, 7.0, 100.0, 114.0)
        assert (db["cpu"], db["span"], db["memory"]) == (3.0, 120.0, None), "what was not told counts for no mean"
        assert (one, new) == (alone._asdict(), recent._asdict())


@pytest.mark.parametrize("content", [b"no database at all" * 100, b"SQLite format 3\0" + b"\xff" * 5000])
def test_a_file_that_is_none_of_ours_is_put_aside_and_told(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    store = Store(path)
    (aside,) = path.parent.glob("*.broken-*")
    assert aside.name in store.put_aside and aside.read_bytes() == content
    store.write([event(1.0)])
    assert len(read_events(path, Wanted())) == 1


def test_a_file_of_a_later_version_is_put_aside(path: Path) -> None:
    Store(path).close()
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA user_version = 99")
    db.close()
    assert "version 99" in Store(path).put_aside


def test_damage_is_told_from_a_busy_or_full_disk_and_only_the_last_damaged_file_is_kept(path: Path) -> None:
    store = Store(path)
    store.write([event(float(i), detail="x" * 500) for i in range(2000)])
    store.prune(0.0, DAY, 64 << 20)
    with path.open("r+b") as file:
        file.seek(8192)
        file.write(b"\xa5" * 60_000)
    store.close()
    with pytest.raises(sqlite3.DatabaseError) as broken:
        read_events(path, Wanted(limit=5000))
    assert is_broken(broken.value) and not is_broken(sqlite3.OperationalError("database is locked"))
    store = Store(path)
    assert store.put_aside
    store.put_away("again", 5)
    store.write([event(1.0)])
    assert [one.name for one in path.parent.glob("*.broken-*")] == [f"{path.name}.broken-5"]
    assert len(read_events(path, Wanted())) == 1


def test_a_write_that_fails_leaves_the_file_as_it_was(path: Path) -> None:
    store = Store(path)
    store.write([event(1.0)])
    with pytest.raises(sqlite3.IntegrityError):
        store.write([event(2.0), {**event(3.0), "watcher": None}])
    store.write([event(4.0)])
    assert [one["at"] for one in read_events(path, Wanted())] == [1.0, 4.0]
