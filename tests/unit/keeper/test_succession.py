"""What one image of the keeper leaves to the next, and what a later version makes of it."""

from __future__ import annotations

import json
import os
from typing import Any

import pytest

from circus_cg.keeper import succession
from circus_cg.keeper.ledger import Ledger
from circus_cg.keeper.messages import VERSION, Key

# As version 1 wrote it. It stays as it is: a daemon that began with that version may be upgraded to any later one that
# is one step of the wire away.
STATE_1: dict[str, Any] = json.loads("""
{"version": 1, "wire": 1, "note": "", "stopping": false, "ready": true,
 "notify": {"ready": true, "reloading": true, "pending": {}},
 "ledger": [
  {"error": null, "generation": 3, "note": "n", "pending_exit": null, "pid": 71, "record": null, "slot": ["w", 1],
   "state": "running",
   "request": {"op": "spawn", "key": ["w", 1, 3], "argv": ["sleep", "9"], "env": {}, "cwd": "/", "v2": "/g/w/1.3",
               "v1": [], "stop": [15, 30.0], "note": "n"}},
  {"error": null, "generation": 1, "note": "", "pending_exit": null, "pid": null, "slot": ["w", 2], "state": "exited",
   "record": {"op": "exited", "key": ["w", 2, 1], "pid": 72, "code": 4, "signal": null, "at": 1.5, "error": null},
   "request": {"key": ["w", 2, 1], "stop": [2, 1.0]}},
  {"error": null, "generation": 2, "note": "", "pending_exit": [null, 9, 2.5], "pid": 73, "record": null,
   "slot": ["w", 3], "state": "launching", "request": {"key": ["w", 3, 2], "stop": [15, 30.0]}},
  {"error": null, "generation": 0, "note": "of one that never lived", "pending_exit": null, "pid": null,
   "record": null, "slot": ["w", 4], "state": "empty", "request": {}}
 ]}
""")


def left(state: dict[str, Any]) -> int:
    return succession.write("circus-cg-test", state)


def test_the_state_of_version_1_is_understood() -> None:
    """Whose wire was one step away from ours in its time."""
    fd = left({**STATE_1, "wire": VERSION - 1})
    assert succession.rehearsal(fd) == "understood 4"
    ledger = Ledger.load(succession.read(fd)["ledger"])
    os.close(fd)
    assert ledger.pid_of(Key("w", 1, 3)) == 71 and ledger.pids() == [71]
    request = ledger.request_of(Key("w", 1, 3))
    assert request is not None and request["key"] == Key("w", 1, 3) and request["stop"] == (15, 30.0)
    assert [slot["exit"] and slot["exit"]["code"] for slot in ledger.inventory()] == [None, 4, None, None]


def test_an_exit_that_overtook_its_exec_is_told_by_the_next_image() -> None:
    (spawned, exited) = Ledger.load(STATE_1["ledger"]).running(Key("w", 3, 2))
    assert (spawned["pid"], exited["pid"], exited["signal"]) == (73, 73, 9)


def test_fields_of_a_later_version_are_left_out_and_missing_ones_are_as_in_an_empty_slot() -> None:
    (first, *_) = json.loads(json.dumps(STATE_1["ledger"]))
    first["frozen"] = True
    del first["error"]
    assert Ledger.load([first]).pids() == [71]


@pytest.mark.parametrize("wire", [VERSION - 2, VERSION + 2])
def test_an_arbiter_two_versions_away_could_not_come_back(wire: int) -> None:
    fd = left({**STATE_1, "wire": wire})
    with pytest.raises(ValueError, match="more than one step"):
        succession.rehearsal(fd)
    os.close(fd)


@pytest.mark.parametrize("broken", [{}, {"wire": VERSION, "ledger": [{}]}, {"wire": VERSION, "ledger": None}])
def test_what_is_no_state_is_not_understood(broken: dict[str, Any]) -> None:
    fd = left(broken)
    with pytest.raises((KeyError, TypeError, ValueError)):
        succession.rehearsal(fd)
    os.close(fd)


def test_every_descriptor_that_a_record_speaks_of_goes_through_exec() -> None:
    image = {"fd": 13, "launcher": 14}
    boot = {"pass_fds": [11, 12], "keep_fds": [15], "image": image, "control": {"fd": 16}}
    assert succession.held_fds(boot) == [11, 12, 13, 14, 15, 16]
    assert succession.held_fds({"pass_fds": [], "keep_fds": [], "image": {**image, "launcher": None}}) == [13]
