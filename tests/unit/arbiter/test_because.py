"""What an operator asked for, or a policy decided, is known by what comes of it; by nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable

from circus_cg.arbiter import because
from circus_cg.arbiter.journal import Journal
from circus_cg.core import events as ev
from circus_cg.core.effects import Kind, Publish
from circus_cg.core.record import Record


def written(journal: Journal) -> list[Record]:
    return [record for _, record in journal.ring.read(journal.ring.oldest, 100)]


def publish(journal: Journal, kind: Kind, wid: int = 1) -> None:
    journal.publish("web", wid, Publish(kind, "", 5, 1))


def test_a_command_is_an_event_once_for_each_watcher_that_something_came_of_it_for() -> None:
    journal = Journal()
    with because.because(because.Command("stop by ops")):
        journal.tell("web", "stop")
        publish(journal, "stopping")
        journal.tell("db", "stop")
    journal.tell("web", "stopped")
    asked = [record for record in written(journal) if record.kind == "asked"]
    assert [(record.watcher, record.detail, record.root) for record in asked] == [
        ("web", "stop by ops", 0), ("db", "stop by ops", 0),
    ]  # fmt: skip
    roots = [record.root for record in written(journal) if record.kind != "asked"]
    assert roots == [asked[0].id, asked[0].id, asked[1].id, 0]


def test_a_command_that_nothing_comes_of_is_no_event() -> None:
    journal = Journal()
    with because.because(because.Command("start by ops")):
        pass
    assert written(journal) == []


def test_a_slot_remembers_until_it_is_settled() -> None:
    """The exit comes later, from the keeper; the next death is nobody's."""
    journal = Journal()
    with because.because(because.Command("restart by ops")):
        journal.follow("web", 1, ev.Restart(7))
        publish(journal, "stopping")
    kinds: tuple[Kind, ...] = ("exit", "ready", "exit")
    for kind in kinds:
        publish(journal, kind)
    publish(journal, "exit", 2)
    (asked,) = [record.id for record in written(journal) if record.kind == "asked"]
    assert [record.root for record in written(journal)] == [0, asked, asked, asked, 0, 0]


def test_standing_still_leaves_nothing_to_be_done() -> None:
    journal = Journal()
    with because.because(because.Command("freeze by ops")):
        journal.follow("web", 1, ev.Freeze(7))
        publish(journal, "frozen")
    publish(journal, "exit")
    assert written(journal)[-1].root == 0


def test_an_event_with_a_decisions_id_is_because_of_it() -> None:
    journal = Journal()
    own = journal.decide("web", 1, "replace", "too large", {})
    journal.follow("web", 1, ev.End(own, 1, "memory", ""))
    publish(journal, "stopping")
    assert written(journal)[-1].root == own


def test_a_decision_within_a_command_is_because_of_the_command() -> None:
    journal = Journal()
    with because.because(because.Command("incr by ops")):
        journal.decide("web", None, "hold", "pinned", {})
    asked, decided = written(journal)
    assert (asked.kind, decided.root) == ("asked", asked.id)


def test_it_goes_along_where_work_waits_and_no_further() -> None:
    """A timer or a task that is left behind is on its own, unless it is carried."""
    seen: dict[str, because.Cause] = {}

    async def work() -> None:
        loop = asyncio.get_running_loop()
        over = asyncio.Event()

        def late() -> None:
            seen["timer"] = because.current()
            over.set()

        async def own() -> None:
            await asyncio.sleep(0)
            seen["task"] = because.current()

        async def with_it() -> None:
            await over.wait()
            seen["carried"] = because.current()

        async def command() -> int:
            await asyncio.sleep(0)
            seen["waiting"] = because.current()
            loop.call_soon(loop.call_soon, late)
            tasks.append(loop.create_task(own()))
            tasks.append(loop.create_task(because.carried(with_it)))
            return 1

        tasks: list[asyncio.Task[None]] = []
        begun: int | Awaitable[int] = because.begin(cause, command)
        assert isinstance(begun, Awaitable) and because.current() is None
        await begun
        assert because.current() is None
        await asyncio.gather(*tasks)

    cause = because.Command("reload by ops")
    asyncio.run(work())
    assert seen == {"waiting": cause, "timer": None, "task": None, "carried": cause}


def test_what_is_carried_on_and_cancelled_before_it_begins_leaves_nothing_that_was_never_awaited() -> None:
    begun = []

    async def work() -> None:
        begun.append(because.current())

    async def run() -> None:
        with because.because(7):
            cancelled, kept = (asyncio.create_task(because.carried(work)) for _ in range(2))
        cancelled.cancel()
        await asyncio.gather(cancelled, kept, return_exceptions=True)

    asyncio.run(run())  # a coroutine that nobody awaited is a warning, and here an error
    assert begun == [7]
