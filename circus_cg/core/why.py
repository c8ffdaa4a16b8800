"""Why something happened: events put into chains, each from what began it to what came of it.

Events are documents as `record.document` makes them, oldest first: from the ring, or from the history, so that a chain
outlives the arbiter that wrote it. A slot's events are in order by themselves; `cause` and `root` tie them to a
decision or to an operator's command.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Literal, NamedTuple

Event = Mapping[str, Any]
What = Literal["restart", "stop", "failed", "pending", "start", "decision", "command", "refused", "replace"]

ENDS: dict[str, What] = {
    "ready": "restart",
    "stopped": "stop",
    "failed": "failed",
}  # a slot's chain is over -> what it was
ROOTS = {"decision", "asked", "refused", "replace"}  # what may begin a chain of others
ASIDE = {"frozen", "thawed"}  # neither begins nor ends a life
SHOWN = 12  # workers of one chain, and inputs of one decision


class Line(NamedTuple):
    at: float  # seconds since the epoch
    who: str  # watcher, or watcher.wid
    text: str


class Chain(NamedTuple):
    """`events` oldest first; `lines` say the same for people."""

    what: What
    who: str
    at: float  # of its last event
    lines: list[Line]
    events: list[Event]

    def document(self) -> dict[str, Any]:
        lines = [{"at": line.at, "who": line.who, "text": line.text} for line in self.lines]
        return {"what": self.what, "who": self.who, "at": self.at, "lines": lines, "events": list(self.events)}


def chains(events: Iterable[Event], wid: int | None = None) -> list[Chain]:
    """Of one watcher's events, or of one of its workers; in the order in which they ended.

    What followed from one decision or command is one chain, however many workers it concerned.
    """
    known = list(events)
    by_id = {event["id"]: event for event in known}
    episodes = [episode for slot in _slots(known, wid) for episode in _episodes(slot)]
    found: list[tuple[list[Event], int | None]] = []
    rooted: dict[int, list[list[Event]]] = {}
    for episode in episodes:
        root = _root(episode, by_id)
        if root is None:
            if not _is_plain_start(episode):
                found.append((episode, None))
        else:
            rooted.setdefault(root, []).append(episode)
    linked = _linked(known)
    for event in known:
        own = event["kind"] in ROOTS and (wid is None or event["wid"] == wid)
        if (own and _above(event, by_id) is None) or event["id"] in rooted:
            found.append((_with_root(event, linked, rooted.get(event["id"], []), wid), event["id"]))
    told = [_chain(sorted(_unique(each), key=_place), by_id, root) for each, root in found]
    return sorted(told, key=lambda chain: chain.at)


def _slots(events: list[Event], wid: int | None) -> Iterator[list[Event]]:
    """Each slot's own events; a decision is no step of a life, it may begin a chain."""
    by_slot: dict[int, list[Event]] = {}
    for event in events:
        if event["wid"] and wid in (None, event["wid"]) and event["kind"] not in ASIDE | {"decision"}:
            by_slot.setdefault(event["wid"], []).append(event)
    yield from by_slot.values()


def _episodes(slot: list[Event]) -> Iterator[list[Event]]:
    """From what ended a life, or began the first one, to the next one's beginning, or to none."""
    episode: list[Event] = []
    for event in slot:
        episode.append(event)
        if event["kind"] in ENDS:
            yield episode
            episode = []
    if episode:
        yield episode


def _root(episode: list[Event], by_id: Mapping[int, Event]) -> int | None:
    """The decision or command that it came of; the first that is known."""
    for event in episode:
        root = _above(event, by_id)
        if root is not None:
            return root
    return None


def _above(event: Event, by_id: Mapping[int, Event]) -> int | None:
    """The topmost known decision or command above it; its own id never."""
    seen, found = {event["id"]}, None
    while True:
        links = (by_id.get(event.get("root") or 0), by_id.get(event["cause"]))
        above = next((link for link in links if link is not None and link["kind"] in ROOTS), None)
        if above is None or above["id"] in seen:
            return found
        seen.add(above["id"])
        event, found = above, above["id"]


def _linked(events: list[Event]) -> dict[int, list[Event]]:
    """What else than the steps of a life came of an id at once."""
    found: dict[int, list[Event]] = {}
    for event in events:
        if event["wid"] is None or event["kind"] == "decision":
            for link in {event.get("root") or 0, event["cause"]} - {0}:
                found.setdefault(link, []).append(event)
    return found


def _with_root(
    root: Event, linked: Mapping[int, list[Event]], episodes: list[list[Event]], wid: int | None
) -> list[Event]:
    """The root, what else of the watcher itself came of it, and its workers' episodes."""
    found, todo = {root["id"]: root}, [root]
    while todo:
        for event in linked.get(todo.pop()["id"], ()):
            if event["id"] not in found and (wid is None or event["wid"] in (None, wid)):
                found[event["id"]] = event
                todo.append(event)
    return [*found.values(), *(event for episode in episodes for event in episode)]


def _is_plain_start(episode: list[Event]) -> bool:
    """A first life that nobody in sight asked for: the daemon's own start."""
    return [event["kind"] for event in episode] == ["ready"]


def _unique(events: Iterable[Event]) -> Iterable[Event]:
    return {event["id"]: event for event in events}.values()


def _place(event: Event) -> tuple[float, int]:
    return event["at"], event["seq"]


def _chain(events: list[Event], by_id: Mapping[int, Event], root: int | None) -> Chain:
    begins = events[0] if root is None else by_id[root]
    lines = [_line(event) for event in events]
    if len(lines) > SHOWN + 2:
        left = len(lines) - SHOWN
        dots = Line(lines[SHOWN - 1].at, begins["watcher"], f"({left} more lines; --json has all)")
        lines = [*lines[: SHOWN - 1], dots, lines[-1]]
    return Chain(_what(events, begins), _who(begins), events[-1]["at"], lines, events)


def _what(events: list[Event], begins: Event) -> What:
    match begins["kind"]:
        case "decision":
            return "decision"
        case "refused":
            return "refused"
        case "asked":
            return "command"
        case "replace":
            return "replace"
    if not any(event["kind"] == "exit" for event in events) and events[-1]["kind"] == "ready":
        return "start"
    return ENDS.get(events[-1]["kind"], "pending")


def _who(event: Event) -> str:
    return f"{event['watcher']}.{event['wid']}" if event["wid"] else str(event["watcher"])


def _line(event: Event) -> Line:
    return Line(event["at"], _who(event), _text(event))


def _text(event: Event) -> str:
    detail = event["detail"]
    match event["kind"]:
        case "decision":
            said = f"decided {event['verdict']}" + (f": {detail}" if detail else "")
            inputs = _inputs(event.get("inputs") or {})
            return f"{said} [{inputs}]" if inputs else said
        case "asked":
            return f"asked: {detail}"
        case "exit":
            return _exit(event)
        case kind:
            return f"{kind}: {detail}" if detail else str(kind)


def _exit(event: Event) -> str:
    """Whose signal it was is all that its words don't tell."""
    ours = (event.get("exit") or {}).get("reason") == "killed"
    return f"{event['detail']} (by us: it did not leave in time)" if ours else str(event["detail"])


def _inputs(inputs: Mapping[str, Any]) -> str:
    """`veto` first, by its name; then the others, flat."""
    flat = dict(_flat("", inputs))
    veto = flat.pop("veto", None)
    words = [] if veto is None else [f"veto {veto}"]
    words += [f"{key} {value}" for key, value in list(flat.items())[:SHOWN]]
    if len(flat) > SHOWN:
        words.append(f"{len(flat) - SHOWN} more")
    return ", ".join(words)


def _flat(prefix: str, inputs: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for key, value in inputs.items():
        match value:
            case None:
                continue
            case Mapping():
                yield from _flat(f"{prefix}{key}.", value)
            case list() | tuple():
                yield f"{prefix}{key}", f"{len(value)} of them" if len(value) > 4 else str(list(value))
            case bool():
                yield f"{prefix}{key}", "yes" if value else "no"
            case float():
                yield f"{prefix}{key}", f"{value:.4g}"
            case _:
                yield f"{prefix}{key}", str(value)
