"""Our records and usage in circus's words."""

from __future__ import annotations

from typing import Any

import pytest

from circus_cg.core.record import Record
from circus_cg.core.state import Exit
from circus_cg.rpc.topics import event, stats, wanted


def record(kind: str, wid: int = 1, **more: Any) -> Record:
    fields = {"pid": 7, **more}
    return Record(5, 4, 100.0, "My Web", wid, kind, "", **fields)


def ended(code: int | None, signal: int | None) -> Exit:
    return Exit(code, signal, "exited", "", 1.0, 2.0)


@pytest.mark.parametrize(
    ("ours", "topic", "body"),
    [
        (record("ready"), "watcher.my_web.spawn", {"process_pid": 7, "time": 100.0}),
        (record("stopping"), "watcher.my_web.kill", {"process_pid": 7, "time": 100.0}),
        (record("exit", exit=ended(3, None)), "watcher.my_web.reap", {"process_pid": 7, "time": 100.0, "exit_code": 3}),
        (
            record("exit", exit=ended(None, 9)),
            "watcher.my_web.reap",
            {"process_pid": 7, "time": 100.0, "exit_code": -9},
        ),
        (record("start", wid=0), "watcher.my_web.start", {"time": 100.0}),
        (record("stopped", wid=0), "watcher.my_web.stop", {"time": 100.0}),
        (record("reload", wid=0), "watcher.my_web.reload", {"time": 100.0}),
        (record("change", wid=0), "watcher.my_web.updated", {"time": 100.0}),
        (record("add", wid=0), "watcher.my_web.add", {"time": 100.0}),
        (record("removed", wid=0), "watcher.my_web.remove", {"time": 100.0}),
    ],
)
def test_what_circus_has_a_word_for_is_said_in_it(ours: Record, topic: str, body: dict[str, Any]) -> None:
    assert event(ours) == (topic, body)


def test_what_circus_has_no_word_for_is_not_said() -> None:
    assert event(record("backoff")) is None
    assert event(record("stop", wid=0)) is None
    assert event(record("stopped")) is None
    assert event(record("exit", pid=None, exit=ended(None, None))) is None, "it never was a process"


def test_usage_is_told_for_each_worker_and_for_all() -> None:
    workers = {
        "7": {"pid": 7, "cpu": 10.0, "mem": 1.5, "age": 3.0},
        "8": {"pid": 8, "cpu": 20.0, "mem": 2.5, "age": 9.0},
    }
    first, second, whole = stats("Web", workers)
    assert first[0] == "stat.web.7" and second[0] == "stat.web.8" and whole[0] == "stat.web"
    assert (first[1]["subtopic"], first[1]["name"], first[1]["cpu"]) == (7, None, 10.0)
    assert whole[1] == {"pid": [7, 8], "cpu": 15.0, "mem": 4.0, "age": 9.0}


def test_what_is_not_known_is_said_as_circus_does() -> None:
    (_, worker), (_, whole) = stats("w", {"7": {"pid": 7, "cpu": None, "mem": None, "age": 3.0}})
    assert (worker["cpu"], worker["mem"], whole["cpu"], whole["mem"]) == ("N/A",) * 4
    assert stats("w", {}) == [("stat.w", {"pid": [], "cpu": 0.0, "mem": 0, "age": "N/A"})]


@pytest.mark.parametrize(
    ("prefix", "topic", "heard"),
    [
        ("", "watcher.w.spawn", True),
        ("watcher.w.", "watcher.w.spawn", True),
        ("watcher.web", "watcher.w.spawn", False),
        ("stat.", "stat.w", True),
        ("stat.w.7", "stat.w", True),
        ("stat.w", "stat.web", True),
        ("stat.web", "stat.w", False),
        ("stat.web.", "stat", True),
        ("watcher.", "stat", False),
    ],
)
def test_a_subscription_is_a_beginning(prefix: str, topic: str, heard: bool) -> None:
    assert wanted({prefix}, topic) is heard
