"""The history's file: SQLite, bounded by age and size. Used by one thread; others read over connections of their own.

What was committed survives a power cut (write-ahead log, synchronous). A file that is broken or is somebody else's is
put aside; losing the history loses history, never supervision.
"""

from __future__ import annotations

import os
import sqlite3
import stat
from collections.abc import Iterable
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

import msgspec

from circus_cg.core.wanted import Wanted

VERSION = 1  # of the tables; another one's file is put aside
PAGES = 256  # of the log, before it goes into the file
LOG_BYTES = 1 << 20  # what the log may keep on disk
COARSE_AFTER, COARSE = 86400.0, 900  # seconds: older samples become one in so many
BROKEN = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
SIDES = ("", "-wal", "-shm")

_TABLES = """
CREATE TABLE IF NOT EXISTS events (
    n INTEGER PRIMARY KEY, at REAL NOT NULL, watcher TEXT NOT NULL, wid INTEGER, kind TEXT NOT NULL, body TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS events_at ON events (at);
CREATE INDEX IF NOT EXISTS events_watcher ON events (watcher, n);
CREATE TABLE IF NOT EXISTS usage (
    watcher TEXT NOT NULL, at REAL NOT NULL, span REAL NOT NULL, workers REAL, cpu REAL, throttled REAL,
    memory REAL, memory_most REAL, pids REAL, cpu_pressure REAL, memory_pressure REAL, PRIMARY KEY (watcher, at)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS usage_at ON usage (at);
"""
_INSERT_EVENT = "INSERT INTO events (at, watcher, wid, kind, body) VALUES (?, ?, ?, ?, ?)"


class Usage(NamedTuple):
    """What one watcher's workers used together in `span` seconds up to `at`. None: not told."""

    watcher: str
    at: float  # seconds since the epoch
    span: float
    workers: float | None  # ready
    cpu: float | None  # CPUs
    throttled: float | None  # seconds, in each second
    memory: float | None  # bytes
    memory_most: float | None
    pids: float | None
    cpu_pressure: float | None  # percent of time in which some waited for it (PSI some avg60)
    memory_pressure: float | None  # percent of time in which all waited for it (PSI full avg60)


# How samples become one; what was not told counts for no mean.
_FOLDED = {"watcher": "watcher", "at": "max(at)", "span": "sum(span)", "memory_most": "max(memory_most)"}
_MEAN = "sum({0} * span) / sum(CASE WHEN {0} IS NULL THEN 0 ELSE span END)"
_INSERT_USAGE = f"INSERT OR REPLACE INTO usage VALUES ({', '.join('?' * len(Usage._fields))})"


class Store:
    """Raises sqlite3.Error and OSError wherever the disk refuses."""

    def __init__(self, path: Path) -> None:
        """`put_aside` says why and where an unusable file went, if there was one."""
        self.path = path
        self.put_aside = ""
        self._db = self._opened()

    def write(self, events: Iterable[dict[str, Any]], usage: Iterable[Usage] = ()) -> None:
        """One transaction. Events as `record.document` makes them."""
        rows = [
            (event["at"], event["watcher"], event["wid"], event["kind"], msgspec.json.encode(event).decode())
            for event in events
        ]
        self._db.execute("BEGIN IMMEDIATE")
        try:
            self._db.executemany(_INSERT_EVENT, rows)
            self._db.executemany(_INSERT_USAGE, usage)
            self._db.execute("COMMIT")
        except BaseException:
            self._roll_back()
            raise

    def prune(self, now: float, age: float, size: int) -> None:
        """Drop what is older than `age` or beyond `size`, and make old samples coarse."""
        self._db.execute("BEGIN IMMEDIATE")
        try:
            for table in ("events", "usage"):
                self._db.execute(f"DELETE FROM {table} WHERE at < ?", (now - age,))
            self._coarsen(now - COARSE_AFTER)
            while self._bytes() > max(0, size - LOG_BYTES) and self._drop_a_tenth():
                pass
            self._db.execute("COMMIT")
        except BaseException:
            self._roll_back()
            raise
        self._db.execute("PRAGMA incremental_vacuum").fetchall()
        self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def put_away(self, why: str, stamp: int) -> None:
        """What is there is broken: begin anew. The last file that was put aside stays; those before it go."""
        with suppress(sqlite3.Error):
            self._db.close()
        self._move_aside(why, stamp)
        self._db = self._made()

    def close(self) -> None:
        self._db.close()

    # -- details ---------------------------------------------------------------------------------

    def _opened(self) -> sqlite3.Connection:
        try:
            return self._made()
        except sqlite3.Error as failed:
            if not is_broken(failed):
                raise
            why = str(failed)
        self._move_aside(why, int(self.path.lstat().st_mtime))
        return self._made()

    def _made(self) -> sqlite3.Connection:
        _own(self.path)
        db = sqlite3.connect(self.path, timeout=5.0, isolation_level=None)
        try:
            db.execute("PRAGMA auto_vacuum = INCREMENTAL")
            db.execute("PRAGMA journal_mode = WAL").fetchall()
            db.execute("PRAGMA synchronous = FULL")
            db.execute(f"PRAGMA wal_autocheckpoint = {PAGES}").fetchall()
            db.execute(f"PRAGMA journal_size_limit = {LOG_BYTES}").fetchall()
            db.execute("PRAGMA trusted_schema = OFF")
            (version,) = db.execute("PRAGMA user_version").fetchone()
            (found,) = db.execute("PRAGMA quick_check(1)").fetchone()
            if found != "ok" or version not in (0, VERSION):
                text = found if found != "ok" else f"its tables are of version {version}, ours of {VERSION}"
                raise _Unusable(text)
            db.executescript(_TABLES)
            db.execute(f"PRAGMA user_version = {VERSION}")
        except BaseException:
            db.close()
            raise
        return db

    def _move_aside(self, why: str, stamp: int) -> None:
        for old in self.path.parent.glob(f"{self.path.name}.broken-*"):
            old.unlink(missing_ok=True)
        for side in SIDES:
            with suppress(FileNotFoundError):
                os.replace(f"{self.path}{side}", f"{self.path}.broken-{stamp}{side}")
        self.put_aside = f"{why}; it is now {self.path.name}.broken-{stamp}"

    def _roll_back(self) -> None:
        if self._db.in_transaction:
            with suppress(sqlite3.Error):
                self._db.execute("ROLLBACK")

    def _bytes(self) -> int:
        asked = ("page_count", "freelist_count", "page_size")
        count, free, size = (self._db.execute(f"PRAGMA {one}").fetchone()[0] for one in asked)
        return int((count - free) * size)

    def _drop_a_tenth(self) -> bool:
        """The oldest of each table. False: nothing is left."""
        dropped = 0
        for table in ("events", "usage"):
            (count,) = self._db.execute(f"SELECT count(*) FROM {table}").fetchone()
            if not count:
                continue
            oldest = f"SELECT at FROM {table} ORDER BY at LIMIT 1 OFFSET ?"
            (until,) = self._db.execute(oldest, (count // 10,)).fetchone()
            dropped += self._db.execute(f"DELETE FROM {table} WHERE at <= ?", (until,)).rowcount
        return dropped > 0

    def _coarsen(self, before: float) -> None:
        """Samples of one watcher in the same quarter of an hour become their mean, weighted by time."""
        before = before // COARSE * COARSE
        columns = ", ".join(_FOLDED.get(column, _MEAN.format(column)) for column in Usage._fields)
        old = (before, COARSE / 2)
        folded = self._db.execute(
            f"SELECT {columns} FROM usage WHERE at < ? AND span < ? GROUP BY watcher, CAST(at / {COARSE} AS INTEGER)",
            old,
        ).fetchall()
        self._db.execute("DELETE FROM usage WHERE at < ? AND span < ?", old)
        self._db.executemany(_INSERT_USAGE, folded)


class _Unusable(sqlite3.DatabaseError):
    sqlite_errorcode = sqlite3.SQLITE_CORRUPT


def is_broken(failed: sqlite3.Error) -> bool:
    """The file itself; not the disk, nor somebody who holds it."""
    return (getattr(failed, "sqlite_errorcode", 0) & 0xFF) in BROKEN


def read_events(path: Path, wanted: Wanted) -> list[dict[str, Any]]:
    """Oldest first. From any thread, beside the writer. Raises sqlite3.Error."""
    where, values = _where(wanted)
    with closing(_reader(path)) as db:
        rows = db.execute(f"SELECT body FROM events{where} ORDER BY n DESC LIMIT ?", (*values, wanted.limit))
        return [msgspec.json.decode(body) for (body,) in rows][::-1]


def read_usage(path: Path, wanted: Wanted) -> list[dict[str, Any]]:
    """As read_events; of `wanted` neither `wid` nor `kinds` are looked at."""
    where, values = _where(wanted._replace(wid=None, kinds=None))
    with closing(_reader(path)) as db:
        columns = ", ".join(Usage._fields)
        rows = db.execute(f"SELECT {columns} FROM usage{where} ORDER BY at DESC LIMIT ?", (*values, wanted.limit))
        return [Usage(*row)._asdict() for row in rows][::-1]


def watchers(path: Path) -> list[str]:
    """All that something is known of, also those that are gone. Raises sqlite3.Error."""
    with closing(_reader(path)) as db:
        return [name for (name,) in db.execute("SELECT watcher FROM events UNION SELECT watcher FROM usage")]


def _reader(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True, timeout=2.0, isolation_level=None)


def _where(wanted: Wanted) -> tuple[str, list[Any]]:
    terms: list[str] = []
    values: list[Any] = []
    for column, among in (("watcher", wanted.watchers), ("kind", wanted.kinds)):
        if among is not None:
            terms.append(f"{column} IN (SELECT value FROM json_each(?))")
            values.append(msgspec.json.encode(list(among)).decode())
    for term, value in (("wid = ?", wanted.wid), ("at >= ?", wanted.since), ("at <= ?", wanted.until)):
        if value is not None:
            terms.append(term)
            values.append(value)
    return f" WHERE {' AND '.join(terms)}" if terms else "", values


def _own(path: Path) -> None:
    """A regular file of this user, 0600 from its first instant; what else is there is refused. Raises OSError."""
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK, 0o600)
    try:
        found = os.fstat(fd)
        if not stat.S_ISREG(found.st_mode) or found.st_uid != os.geteuid():
            raise PermissionError(f"cannot trust {path}: no regular file of this user; remove it")
        os.fchmod(fd, 0o600)
    finally:
        os.close(fd)
