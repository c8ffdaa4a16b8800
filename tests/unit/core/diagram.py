"""Every state `step` can reach, and the diagram computed from them; python -m tests.unit.core.diagram writes it."""

from collections import defaultdict
from math import inf
from pathlib import Path
from signal import SIGINT, SIGTERM

from msgspec.structs import replace

from circus_cg.core import events as ev
from circus_cg.core.notification import Word
from circus_cg.core.slot import Phase, Slot, step
from circus_cg.spec import Flapping, HealthCheck, StopStep, Watchdog, WatcherSpec

PAGE = Path(__file__).parents[3] / "docs" / "explanation" / "watcher.md"
EVENTS = (
    ev.Start,
    ev.Stop,
    ev.Restart,
    ev.Freeze,
    ev.Thaw,
    ev.End,
    ev.Told,
    ev.Checked,
    ev.Spawned,
    ev.LaunchFailed,
    ev.Exited,
    ev.Emptied,
    ev.Refused,
    ev.DeadlineReached,
)
SPEC = WatcherSpec(
    name="w",
    cmd=("true",),
    max_retry=1,
    flapping=Flapping(attempts=2, window=inf, max_retry=1),
    stop=(StopStep(SIGTERM, 5.0), StopStep(SIGINT, 5.0)),
    restart="on-failure",
)
TALKING = replace(  # without the counts that SPEC is for: one exploration of both is a hundred times as long
    SPEC,
    max_retry=0,
    flapping=Flapping(attempts=0),
    stop=(),
    ready="notify",
    start_timeout=2.0,
    watchdog=Watchdog(timeout=2.0),
    health=(HealthCheck(name="c", kind="readiness", tcp="1"),),
)
SHORT, LONG = 0.1, 100.0  # seconds
KILLS_TOLD_APART = 6  # beyond it more kills change nothing

Reached = dict[tuple[Phase, type[ev.Event]], set[Phase]]


def explore() -> Reached:
    """(phase, event) -> the phases that followed, from an idle slot on by whatever may come, in any order."""
    reached: Reached = defaultdict(set)
    for spec in (SPEC, TALKING):
        _explore(spec, reached)
    return reached


def _explore(spec: WatcherSpec, reached: Reached) -> None:
    seen: set[tuple[object, ...]] = set()
    todo = [Slot(wid=1)]
    while todo:
        slot = todo.pop()
        if _essence(slot) in seen:
            continue
        seen.add(_essence(slot))
        for event, now in _what_may_come(slot):
            after, _ = step(spec, slot, event, now, 0.0)
            reached[slot.phase, type(event)].add(after.phase)
            todo.append(after)


def mermaid(reached: Reached) -> str:
    """The changes of phase, one line for each pair of phases."""
    edges: dict[tuple[Phase, Phase], list[str]] = defaultdict(list)
    for (phase, event), followers in reached.items():
        for follower in followers - {phase}:
            edges[phase, follower].append(event.__name__)
    order = list(Phase)
    lines = ["```mermaid", "stateDiagram-v2", "    [*] --> idle"]
    for before, after in sorted(edges, key=lambda edge: (order.index(edge[0]), order.index(edge[1]))):
        lines.append(f"    {before} --> {after}: {', '.join(sorted(edges[before, after]))}")
    return "\n".join([*lines, "```"])


def drawn(page: str) -> str:
    """The diagram that a page shows."""
    start = page.index("```mermaid")
    return page[start : page.index("```", start + 3) + 3]


def _what_may_come(slot: Slot) -> list[tuple[ev.Event, float]]:
    soon, generation = slot.since + SHORT, slot.generation
    events: list[ev.Event] = [
        ev.Start(1),
        ev.Stop(1),
        ev.Restart(1),
        ev.Freeze(1),
        ev.Thaw(1),
        ev.End(1, generation, "watchdog", ""),
        ev.Told(1, generation, Word(ready=True)),
        ev.Told(1, generation, Word(alive=True)),
        ev.Told(1, generation, Word(trigger=True)),
        ev.Checked(1, generation, ()),
        ev.Checked(1, generation, ("c",)),
        ev.Spawned(1, generation, 7),
        ev.LaunchFailed(1, generation, "exec", 2, "No such file or directory"),
        *(ev.Exited(1, generation, code, None, None, "", populated=p) for code in (0, 1) for p in (False, True)),
        ev.Emptied(1, generation),
        ev.Refused(1, generation, 7),
        ev.Refused(1, generation, None),
    ]
    late = ev.Exited(1, generation, 1, None, None, "", populated=False)
    due = soon if slot.deadline == inf else slot.deadline
    return [*((event, soon) for event in events), (late, slot.since + LONG), (ev.DeadlineReached(1), due)]


def _essence(slot: Slot) -> tuple[object, ...]:
    """What decides the future, with times and counts that only grow left out."""
    last = slot.last_exit
    return (
        slot.phase,
        slot.wanted,
        slot.alive,
        slot.pid,
        slot.asked,
        slot.signalled,
        slot.stage,
        slot.delay,
        len(slot.exits),
        slot.retries,
        slot.exec_failures,
        min(slot.kills, KILLS_TOLD_APART),
        slot.stuck,
        slot.frozen,
        slot.left > 0,
        slot.ending is not None,
        slot.readiness.awaited,
        slot.readiness.unwell,
        last is not None and (last.reason, last.code, last.uptime < SPEC.min_uptime),
    )


if __name__ == "__main__":
    text = PAGE.read_text()
    PAGE.write_text(text.replace(drawn(text), mermaid(explore())))
