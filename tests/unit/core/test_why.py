"""Events become chains: what began it, what was decided on which inputs, and what came of it."""

from __future__ import annotations

from typing import Any

from circus_cg.core.why import Chain, chains

Event = dict[str, Any]


class World:
    """Events as a journal would number them, one a second."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def tell(self, kind: str, wid: int | None = None, detail: str = "", **more: Any) -> int:
        number = len(self.events) + 1
        event = {"id": 1000 + number, "seq": number, "cause": 0, "at": float(number), "watcher": "web", "wid": wid,
                 "kind": kind, "detail": detail, "generation": None, "pid": None, "exit": None}  # fmt: skip
        self.events.append({**event, **more})
        return 1000 + number

    def chains(self, wid: int | None = None) -> list[Chain]:
        return chains(self.events, wid)


def texts(chain: Chain) -> list[str]:
    return [line.text for line in chain.lines]


OOM = {"reason": "oom", "code": None, "signal": 9}


def test_a_death_its_delay_and_the_next_life_are_one_chain() -> None:
    world = World()
    world.tell("ready", 3, "pid 10")
    world.tell("exit", 3, "OOM-killed at its own limit after 2.00 s: memory_max 64", exit=OOM)
    world.tell("backoff", 3, "restart in 0.50 s (2 short lives in 60 s)")
    world.tell("ready", 3, "pid 11")
    (chain,) = world.chains()
    assert (chain.what, chain.who, chain.at) == ("restart", "web.3", 4.0)
    assert texts(chain) == [
        "OOM-killed at its own limit after 2.00 s: memory_max 64",
        "backoff: restart in 0.50 s (2 short lives in 60 s)",
        "ready: pid 11",
    ]


def test_chains_of_workers_that_die_together_are_not_mixed() -> None:
    world = World()
    for wid in (1, 2):
        world.tell("exit", wid, f"exit of {wid}")
    for wid in (2, 1):
        world.tell("ready", wid, f"ready {wid}")
    assert [texts(chain) for chain in world.chains()] == [
        ["exit of 2", "ready: ready 2"],
        ["exit of 1", "ready: ready 1"],
    ]
    assert [texts(chain) for chain in world.chains(1)] == [["exit of 1", "ready: ready 1"]]


def test_a_decision_tells_its_inputs_with_the_veto_first_by_name() -> None:
    world = World()
    inputs = {"saturation": 0.98765, "ready": 2, "veto": "quota-bound", "host": {"cpus": 2.0}, "none": None}
    world.tell("decision", None, "as many as there can be", verdict="hold", inputs=inputs)
    (chain,) = world.chains()
    assert chain.what == "decision"
    told = "decided hold: as many as there can be [veto quota-bound, saturation 0.9877, ready 2, host.cpus 2]"
    assert texts(chain) == [told]


def test_what_a_decision_did_to_its_workers_is_in_its_chain() -> None:
    world = World()
    own = world.tell("decision", None, "all are busy", verdict="grow", inputs={})
    world.tell("ready", 4, "pid 4", root=own)
    world.tell("exit", 1, "of something else")
    world.tell("ready", 5, "pid 5", root=own)
    grown, other = sorted(world.chains(), key=lambda chain: chain.who)
    assert (grown.what, grown.who) == ("decision", "web")
    assert texts(grown) == ["decided grow: all are busy", "ready: pid 4", "ready: pid 5"]
    assert (other.what, other.who, texts(other)) == ("pending", "web.1", ["of something else"])


def test_a_decision_about_a_worker_is_found_by_cause_too() -> None:
    world = World()
    own = world.tell("decision", 2, "used too much", verdict="memory_restart", inputs={"current": 70})
    world.tell("stopping", 2, "signal 15", cause=own)
    world.tell(
        "exit", 2, "ended for memory, exited with status 0", exit={"reason": "memory", "code": 0, "signal": None}
    )
    world.tell("ready", 2, "pid 9")
    (chain,) = world.chains(2)
    assert (chain.what, chain.who) == ("decision", "web.2")
    assert texts(chain) == [
        "decided memory_restart: used too much [current 70]",
        "stopping: signal 15",
        "ended for memory, exited with status 0",
        "ready: pid 9",
    ]
    assert world.chains(1) == []


def test_an_operators_command_begins_the_chain_of_what_it_did() -> None:
    world = World()
    asked = world.tell("asked", None, "restart by ops")
    world.tell("start", None, cause=asked, root=asked)
    for wid in (1, 2):
        world.tell("stopping", wid, "signal 15", root=asked)
    for wid in (1, 2):
        world.tell("exit", wid, "killed by signal 15", root=asked)
        world.tell("ready", wid, f"pid {wid}", root=asked)
    (chain,) = world.chains()
    assert (chain.what, len(chain.events)) == ("command", 8)
    assert texts(chain)[:2] == ["asked: restart by ops", "start"]
    assert [event["wid"] for event in world.chains(2)[0].events] == [None, None, 2, 2, 2]


def test_a_command_leads_to_decisions_whose_deeds_stay_in_its_chain() -> None:
    world = World()
    asked = world.tell("asked", None, "set by ops")
    decided = world.tell("decision", None, "fewer", verdict="shrink", inputs={}, cause=asked)
    world.tell("stopping", 2, root=decided)
    (chain,) = world.chains()
    assert chain.what == "command"
    assert texts(chain) == ["asked: set by ops", "decided shrink: fewer", "stopping"]


def test_a_refusal_is_a_chain_of_its_own() -> None:
    world = World()
    world.tell("refused", None, "incr 1 by ops: cannot run 2 workers: it is a singleton")
    (chain,) = world.chains()
    assert (chain.what, chain.who) == ("refused", "web")


def test_a_slot_that_gave_up_says_so() -> None:
    world = World()
    world.tell("exit", 1, "could not be started", exit={"reason": "exec"})
    world.tell("backoff", 1, "1 failed starts in a row")
    world.tell("exit", 1, "could not be started", exit={"reason": "exec"})
    world.tell("failed", 1, "could not be started 2 times in a row")
    (chain,) = world.chains()
    assert (chain.what, len(chain.events)) == ("failed", 4)


def test_the_daemons_own_start_and_standing_still_are_no_chains() -> None:
    world = World()
    world.tell("ready", 1)
    world.tell("frozen", 1)
    world.tell("thawed", 1)
    assert world.chains() == []


def test_a_cause_that_is_forgotten_breaks_nothing() -> None:
    """The ring has gone past the command; a circle of causes, which a broken history might hold, ends too."""
    world = World()
    world.tell("stopping", 1, root=77, cause=78)
    world.tell("decision", None, "a", verdict="hold", inputs={}, cause=1003)
    world.tell("decision", None, "b", verdict="hold", inputs={}, cause=1002)
    assert next(chain.what for chain in world.chains()) == "pending"


def test_a_long_chain_is_shortened_for_people_alone() -> None:
    world = World()
    asked = world.tell("asked", None, "stop by ops")
    for wid in range(1, 40):
        world.tell("stopped", wid, root=asked)
    (chain,) = world.chains()
    assert len(chain.events) == 40 and len(chain.lines) == 13
    assert "28 more lines" in chain.lines[-2].text


def test_a_kill_of_ours_is_told_from_somebody_elses() -> None:
    world = World()
    for reason in ("killed", "signal"):
        world.tell("exit", 1, "killed by signal 9", exit={"reason": reason})
    (chain,) = world.chains()
    assert texts(chain) == ["killed by signal 9 (by us: it did not leave in time)", "killed by signal 9"]
