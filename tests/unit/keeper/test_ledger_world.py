"""The ledger in a simulated world: a launcher that answers late or dies, workers that die, an arbiter that forgets, and
a keeper that becomes its next image at any point.
"""

import itertools
import json
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from circus_cg.keeper.ledger import Ledger
from circus_cg.keeper.messages import Key

SLOTS = [("a", 1), ("a", 2), ("b", 1)]


class KeeperWorld(RuleBasedStateMachine):
    """`born` and `ended` are the world's own books, against which the ledger's are checked."""

    def __init__(self) -> None:
        super().__init__()
        self.ledger = Ledger()
        self.pids = itertools.count(100)
        self.launching: dict[Key, int | None] = {}  # asked of the launcher; pid once cloned
        self.unsettled: dict[Key, int] = {}  # cloned, exec verdict still out
        self.alive: dict[int, Key] = {}
        self.ended: dict[Key, tuple[int | None, int | None]] = {}
        self.told: dict[Key, tuple[int | None, int | None]] = {}
        self.accepted: set[Key] = set()
        self.arbiter: dict[tuple[str, int], int] = {}  # the last generation this arbiter knows of

    def news(self, messages: list[dict[str, Any]]) -> None:
        for message in messages:
            if message["op"] == "exited":
                self.told[Key(*message["key"])] = (message["code"], message["signal"])

    @rule(slot=st.sampled_from(SLOTS), skew=st.integers(-1, 1))
    def ask(self, slot: tuple[str, int], skew: int) -> None:
        key = Key(*slot, self.arbiter.get(slot, 0) + 1 + skew)
        refusal = self.ledger.spawn({"key": key, "note": str(key.generation), "stop": (15, 1.0)})
        if refusal is None:
            assert key not in self.accepted, "one life was spawned twice"
            assert not any(k.slot == slot for k in self.alive.values()), "two lives in one slot"
            self.accepted.add(key)
            self.launching[key] = None
            self.arbiter[slot] = key.generation
        else:
            self.arbiter[slot] = refusal["generation"]

    @precondition(lambda self: self.launching)
    @rule(data=st.data())
    def cloned(self, data: st.DataObject) -> None:
        key = data.draw(st.sampled_from(sorted(self.launching)))
        del self.launching[key]
        pid = next(self.pids)
        self.alive[pid] = key
        self.unsettled[key] = pid
        self.ledger.started(key, pid)

    @precondition(lambda self: self.launching)
    @rule(data=st.data())
    def clone_failed(self, data: st.DataObject) -> None:
        key = data.draw(st.sampled_from(sorted(self.launching)))
        del self.launching[key]
        self.ended[key] = (None, None)
        self.news(self.ledger.failed(key, {"stage": "clone", "errno": 11, "text": ""}, 0.0))

    @precondition(lambda self: self.unsettled)
    @rule(data=st.data(), good=st.booleans())
    def exec_verdict(self, data: st.DataObject, good: bool) -> None:
        key = data.draw(st.sampled_from(sorted(self.unsettled)))
        del self.unsettled[key]
        error = {"stage": "exec", "errno": 2, "text": ""}
        self.news(self.ledger.running(key) if good else self.ledger.failed(key, error, 0.0))

    @precondition(lambda self: self.alive)
    @rule(data=st.data(), code=st.one_of(st.none(), st.integers(0, 255)))
    def dies(self, data: st.DataObject, code: int | None) -> None:
        pid = data.draw(st.sampled_from(sorted(self.alive)))
        key = self.alive.pop(pid)
        status = (code, None) if code is not None else (None, 9)
        self.ended[key] = status
        self.news(self.ledger.exited(pid, status[0], status[1], 0.0))

    @rule(slot=st.sampled_from(SLOTS), old=st.booleans())
    def acknowledge(self, slot: tuple[str, int], old: bool) -> None:
        generation = self.arbiter.get(slot, 0) - old
        self.ledger.ack(Key(*slot, generation), None)

    @rule()
    def arbiter_dies(self) -> None:
        """The new one knows what the inventory tells it, and hears exits that were not acknowledged."""
        self.arbiter = {tuple(s["slot"]): s["generation"] for s in self.ledger.inventory()}
        self.news([s["exit"] for s in self.ledger.inventory() if s["exit"] is not None])

    @rule()
    def keeper_becomes_its_next_image(self) -> None:
        """What it held goes through JSON; nothing that can be asked of the two differs."""
        before, self.ledger = self.ledger, Ledger.load(json.loads(json.dumps(self.ledger.save())))
        assert json.dumps(self.ledger.inventory()) == json.dumps(before.inventory())
        assert sorted(self.ledger.pids()) == sorted(before.pids())
        for held in before.all():
            assert self.ledger.request_of(held.key) == held.request

    @rule(slot=st.sampled_from(SLOTS))
    def forget(self, slot: tuple[str, int]) -> None:
        if self.ledger.forget(slot):
            assert not any(key.slot == slot for key in [*self.alive.values(), *self.launching])
            self.arbiter.pop(slot, None)
            self.accepted = {key for key in self.accepted if key.slot != slot}  # its generations begin anew
            self.ended = {key: end for key, end in self.ended.items() if key.slot != slot}
            self.told = {key: end for key, end in self.told.items() if key.slot != slot}

    @invariant()
    def every_settled_end_was_told_exactly_as_it_was(self) -> None:
        for key, status in self.ended.items():
            if key not in self.unsettled:
                assert self.told[key] == status
        assert all(key in self.ended for key in self.told)

    @invariant()
    def the_living_can_be_signalled_and_the_dead_can_not(self) -> None:
        for pid, key in self.alive.items():
            assert self.ledger.pid_of(key) == pid
        for key in self.ended:
            assert self.ledger.pid_of(key) is None

    @invariant()
    def what_is_occupied_is_what_lives_or_is_on_its_way(self) -> None:
        occupied = {held.key for held in self.ledger.occupied()}
        assert occupied == set(self.alive.values()) | set(self.launching) | set(self.unsettled)


TestKeeperWorld = KeeperWorld.TestCase
