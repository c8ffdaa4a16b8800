"""circus's words on its PUB sockets: topics and JSON of what happens and of what is used. Pure.

`watcher.<name>.<event>` with spawn, reap, kill, start, stop, reload, updated, add, remove; `stat.<name>[.<pid>]`.
"""

from __future__ import annotations

from typing import Any

from circus_cg.core.record import Record

Message = tuple[str, dict[str, Any]]  # topic, body

WATCHERS, STATS = "watcher.", "stat."
UNKNOWN = "N/A"  # as circus says it

# Our kinds of a whole watcher -> its events. Ours of a stop that was asked for is none of its own.
_OF_A_WATCHER = {
    "start": "start", "stopped": "stop", "reload": "reload", "change": "updated", "add": "add", "removed": "remove",
}  # fmt: skip
_OF_A_WORKER = {"ready": "spawn", "exit": "reap", "stopping": "kill"}


def resource(watcher: str) -> str:
    """A name as it stands in topics."""
    return watcher.lower().replace(" ", "_")


def event(record: Record) -> Message | None:
    """None: circus has no such event."""
    body: dict[str, Any] = {"time": record.at}
    if record.wid == 0:
        word = _OF_A_WATCHER.get(record.kind)
    else:
        word = _OF_A_WORKER.get(record.kind)
        if record.pid is None:  # a life that never came to its exec
            word = None
        body = {"process_pid": record.pid, **body}
    if word is None:
        return None
    if record.exit is not None:
        body["exit_code"] = record.exit.code if record.exit.signal is None else -record.exit.signal
    return f"{WATCHERS}{resource(record.watcher)}.{word}", body


def stats(watcher: str, workers: dict[str, dict[str, Any]]) -> list[Message]:
    """One message a worker, then their sum. `workers`: as `stats` answers them, by pid."""
    topic = f"{STATS}{resource(watcher)}"
    found = [{**info, **_told(info), "subtopic": info["pid"], "name": None} for info in workers.values()]
    return [*((f"{topic}.{info['pid']}", info) for info in found), (topic, _sum(found))]


def wanted(prefixes: set[str], topic: str) -> bool:
    """Somebody gets messages of this topic, or of those below it (`topic` without its last part)."""
    return any(topic.startswith(prefix) or prefix.startswith(f"{topic}.") for prefix in prefixes)


def _told(info: dict[str, Any]) -> dict[str, Any]:
    return {key: UNKNOWN if info[key] is None else info[key] for key in ("cpu", "mem")}


def _sum(found: list[dict[str, Any]]) -> dict[str, Any]:
    """As circus: the mean of the CPU, the sum of the memory, the greatest age."""
    cpu, mem = ([info[key] for info in found] for key in ("cpu", "mem"))
    return {
        "pid": [info["pid"] for info in found],
        "cpu": UNKNOWN if UNKNOWN in cpu else sum(cpu) / len(cpu) if cpu else 0.0,
        "mem": UNKNOWN if UNKNOWN in mem else sum(mem),
        "age": max((info["age"] for info in found), default=UNKNOWN),
    }
