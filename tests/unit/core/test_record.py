"""A record as JSON has it."""

from circus_cg.core.record import Record, document
from circus_cg.core.state import Exit


def test_a_record_of_an_exit_has_all_that_is_known_of_it() -> None:
    end = Exit(None, 9, "oom", "memory_max 64", 2.5, 100.0, 77)
    record = Record(5, 4, 1700.0, "web", 2, "exit", "killed", 3, 42, end, 6, root=1)
    assert document(record, 1000.0) == {
        "seq": 6,
        "id": 5,
        "cause": 4,
        "at": 1700.0,
        "watcher": "web",
        "wid": 2,
        "kind": "exit",
        "detail": "killed",
        "generation": 3,
        "pid": 42,
        "exit": {
            "code": None,
            "signal": 9,
            "reason": "oom",
            "detail": "memory_max 64",
            "uptime": 2.5,
            "at": 1100.0,
            "peak": 77,
        },
        "root": 1,
    }


def test_a_record_of_a_whole_watcher_names_no_worker() -> None:
    assert document(Record(5, 0, 1700.0, "web", 0, "stopped", ""), 1000.0) == {
        "seq": 0,
        "id": 5,
        "cause": 0,
        "at": 1700.0,
        "watcher": "web",
        "wid": None,
        "kind": "stopped",
        "detail": "",
        "generation": None,
        "pid": None,
        "exit": None,
    }


def test_a_decision_has_its_verdict_and_its_inputs() -> None:
    found = document(Record(5, 0, 1.0, "web", 0, "decision", "busy", verdict="grow", inputs={"work": 2.0}), 0.0)
    assert (found["verdict"], found["inputs"]) == ("grow", {"work": 2.0})
    assert "root" not in found
