"""What may be asked of the keeper and what it answers: plain dictionaries, JSON on the wire. Pure.

Eight requests (arbiter -> keeper); each names its operation in "op":
    spawn   one life: key, argv, env, cwd, groups, identity, limits, stop rule, notify socket, note
            (compare-and-swap on the key)
    signal  key, signum
    ack     key[, note]      the exit of that life was understood
    note    notes: [[slot|null, note], ...]  opaque texts, given back at hello (null: the arbiter's own)
    forget  slot             an empty slot's memory is dropped
    ready   status, serving  every watcher that starts by itself was asked to; said again when commands are heard
    pong[, counts]           the answer to ping; with `counts` unasked, and answered by what is held (a keeper that
                             knows no such field says nothing)
    quit    code             nothing is left to supervise; leave
Answers and news (keeper -> arbiter): hello (paged), spawned, exited, refused, terminate, ping, counts; hears (what a
life says can be read from the descriptors that come along: told before its spawned, and to each new arbiter).

A key is [watcher, wid, generation], a slot [watcher, wid]. Unknown fields are ignored: either side may be a version
ahead. What must not be ignored is in SINCE, and is not asked of a keeper that is too old.
"""

from typing import Any, NamedTuple

VERSION = 3
# Fields of a spawn that a keeper of an earlier version knows nothing of: it would run the worker without.
SINCE = {
    2: frozenset({"scheduler", "io_priority", "cpus", "bounding", "ambient", "no_new_privs"}),
    3: frozenset({"notify", "notification_fd", "own_pid"}),
}
PAGE = 64  # slots a hello page: well below the 64 kB that travel inline

Message = dict[str, Any]


class Key(NamedTuple):
    """One life of one worker: spawn key, cgroup name and attribution in one."""

    watcher: str
    wid: int
    generation: int

    @property
    def slot(self) -> tuple[str, int]:
        return self.watcher, self.wid


def is_understood(request: Message, version: int) -> bool:
    """By a keeper of that version, all of it."""
    return all(version >= since or fields.isdisjoint(request) for since, fields in SINCE.items())


def hello(slots: list[Message], *, instance: str, note: str, stopping: bool) -> list[Message]:
    """The inventory in pages; the last one says so."""
    pages = [slots[i : i + PAGE] for i in range(0, len(slots), PAGE)] or [[]]
    last = len(pages) - 1
    head = {"op": "hello", "version": VERSION, "instance": instance, "stopping": stopping}
    return [
        head | {"slots": page, "last": i == last, "note": note if i == last else ""} for i, page in enumerate(pages)
    ]


def spawned(key: Key, pid: int) -> Message:
    return {"op": "spawned", "key": key, "pid": pid}


def refused(key: Key, why: str, *, generation: int, pid: int | None) -> Message:
    """The slot is not what the arbiter believed; what is there comes along."""
    return {"op": "refused", "key": key, "why": why, "generation": generation, "pid": pid}
