"""The loop hands events over and goes on; the thread keeps them, says what it could not, and goes on when it can."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from circus_cg import spec
from circus_cg.arbiter import history
from circus_cg.arbiter.arbiter import Arbiter
from circus_cg.arbiter.history import History
from circus_cg.arbiter.journal import Journal
from circus_cg.arbiter.observing import Observing
from circus_cg.core.wanted import Wanted
from circus_cg.errors import HostError
from circus_cg.host.dirs import Dirs
from circus_cg.spec import ArbiterSpec


def arbiter() -> Any:
    return SimpleNamespace(journal=Journal(kept=50_000), boot=SimpleNamespace(spec=ArbiterSpec()), runners={})


def run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(work)


async def kept(of: History) -> list[str]:
    return [event["detail"] for event in await of.events(Wanted(limit=100_000))]


def test_what_happened_before_and_after_it_began_is_kept_in_order_beyond_the_arbiter(tmp_path: Path) -> None:
    async def work() -> None:
        first = arbiter()
        first.journal.tell("web", "start", "before")
        keeping = History(cast(Arbiter, first), tmp_path / "h.sqlite")
        keeping.begin()
        first.journal.tell("web", "stop", "after")
        assert await kept(keeping) == ["before", "after"] and keeping.waiting == 0
        first.journal.tell("web", "stop", "at last")
        keeping.close()
        later = History(cast(Arbiter, arbiter()), tmp_path / "h.sqlite")
        later.begin()
        assert await kept(later) == ["before", "after", "at last"]
        assert await later.watchers() == ["web"]
        later.close()

    run(work())


def test_a_disk_that_refuses_costs_the_events_and_nothing_else_and_the_gap_is_told(tmp_path: Path) -> None:
    async def work() -> None:
        home = arbiter()
        path = tmp_path / "not-there" / "h.sqlite"
        keeping = History(cast(Arbiter, home), path)
        keeping.begin()
        home.journal.tell("web", "start", "lost")
        with pytest.raises(HostError, match="cannot read the history"):
            await kept(keeping)
        assert keeping.lost == 1
        path.parent.mkdir()
        home.journal.tell("web", "stop", "kept")
        assert await kept(keeping) == ["1 events before were not kept: the disk refused them, or was too slow", "kept"]
        home.journal.tell("web", "start", "kept too")
        assert (await kept(keeping))[2:] == ["kept too"], "a gap is told once"
        keeping.close()

    run(work())


def test_a_file_that_breaks_while_it_is_used_is_put_aside(tmp_path: Path) -> None:
    async def work() -> None:
        home, path = arbiter(), tmp_path / "h.sqlite"
        keeping = History(cast(Arbiter, home), path)
        keeping.begin()
        for number in range(3000):
            home.journal.tell("web", "start", f"{number} {'x' * 200}")
        assert len(await kept(keeping)) == 3000
        keeping.close()  # and with it what SQLite remembers of it
        keeping = History(cast(Arbiter, home), path)
        with path.open("r+b") as file:
            file.seek(4096)
            file.write(b"\xa5" * 400_000)
        home.journal.ring = Journal(kept=10).ring
        keeping.begin()
        home.journal.tell("web", "stop", "afterwards")
        assert await kept(keeping) == ["afterwards"] and keeping.lost == 0
        assert list(tmp_path.glob("h.sqlite.broken-*"))
        keeping.close()

    run(work())


def test_a_disk_that_does_not_keep_up_costs_no_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The thread has not begun: so far behind it could be."""
    monkeypatch.setattr(history, "AT_ONCE", 10)
    monkeypatch.setattr(history, "MOST_WAITING", 50)

    async def work() -> None:
        home = arbiter()
        keeping = History(cast(Arbiter, home), tmp_path / "h.sqlite")
        home.journal.listeners.append(keeping._on_record)
        for number in range(100):
            home.journal.tell("web", "start", str(number))
        assert (keeping.waiting, keeping.lost) == (50, 50)
        home.journal.listeners.clear()
        keeping._thread.start()
        home.journal.ring = Journal(kept=10).ring
        assert await kept(keeping) == [str(number) for number in range(50)]
        keeping._on_record(_last(home, "next"))
        gap = "50 events before were not kept: the disk refused them, or was too slow"
        assert (await kept(keeping))[50:] == [gap, "next"]
        keeping._jobs.put(None)

    run(work())


def turned(home: Any, *, on: bool) -> None:
    """As `reloadconfig` does."""
    home.boot.spec = ArbiterSpec(history=spec.History(age=3600.0 if on else 0.0))
    for settle in home.on_reread:
        settle()


def observed(tmp_path: Path) -> Any:
    home = arbiter()
    home.history, home.on_reread = None, []
    home.observing = Observing(cast(Arbiter, home), Dirs(tmp_path, tmp_path))
    return home


def test_turned_off_and_on_again_it_has_each_event_once_and_what_happened_meanwhile(tmp_path: Path) -> None:
    async def work() -> None:
        home = observed(tmp_path)
        home.journal.tell("web", "start", "before")
        for round_ in range(2):  # the second time there is nothing new to tell before it is turned off
            turned(home, on=False)
            assert home.history is None
            home.journal.tell("web", "stop", f"meanwhile {round_}")
            turned(home, on=True)
        assert await kept(home.history) == ["before", "meanwhile 0", "meanwhile 1"]
        turned(home, on=False)
        turned(home, on=True)
        home.journal.tell("web", "start", "after")
        assert await kept(home.history) == ["before", "meanwhile 0", "meanwhile 1", "after"]
        home.observing.close()

    run(work())


def test_what_the_disk_refused_at_last_is_kept_when_it_is_turned_on_again(tmp_path: Path) -> None:
    async def work() -> None:
        home = observed(tmp_path / "not-there")
        home.journal.tell("web", "start", "refused")
        turned(home, on=False)
        (tmp_path / "not-there").mkdir()
        turned(home, on=True)
        assert await kept(home.history) == ["refused"]
        home.observing.close()

    run(work())


def _last(home: Any, detail: str) -> Any:
    home.journal.tell("web", "start", detail)
    ((_, record),) = home.journal.ring.read(home.journal.ring.next - 1, 1)
    return record
