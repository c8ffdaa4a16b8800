"""Chains at their edges: what belongs to one, what it is called, and how each event is put into words."""

import pytest

from circus_cg.core.why import SHOWN, Line, chains
from tests.unit.core.test_why import World, texts


@pytest.mark.parametrize(
    ("kinds", "what"),
    [
        (("started", "ready"), "start"),
        (("exit", "ready"), "restart"),
        (("exit", "backoff"), "pending"),
        (("exit", "stopped"), "stop"),
        (("exit", "failed"), "failed"),
        (("stopping",), "pending"),
    ],
)
def test_what_a_workers_chain_is_called(kinds: tuple[str, ...], what: str) -> None:
    world = World()
    for kind in kinds:
        world.tell(kind, 3)
    assert [(chain.what, chain.who) for chain in world.chains()] == [(what, "web.3")]


@pytest.mark.parametrize(
    ("kind", "what"), [("asked", "command"), ("refused", "refused"), ("replace", "replace"), ("decision", "decision")]
)
def test_what_begins_a_chain_names_it(kind: str, what: str) -> None:
    world = World()
    root = world.tell(kind, None, "by ops", verdict="grow")
    world.tell("ready", 1, root=root)
    assert [(chain.what, chain.who) for chain in world.chains()] == [(what, "web")]


@pytest.mark.parametrize("kind", ["frozen", "thawed"])
def test_standing_still_is_no_step_between_two_lives(kind: str) -> None:
    world = World()
    world.tell("exit", 1, "died")
    world.tell(kind, 1)
    world.tell("ready", 1, "pid 7")
    assert [texts(chain) for chain in world.chains()] == [["died", "ready: pid 7"]]


def test_a_decision_about_a_worker_is_no_step_of_its_life() -> None:
    world = World()
    world.tell("exit", 1, "died")
    world.tell("decision", 1, "held", verdict="hold")
    world.tell("ready", 1, "pid 7")
    assert sorted(texts(chain) for chain in world.chains()) == [["decided hold: held"], ["died", "ready: pid 7"]]


def test_a_chain_is_named_by_its_root_even_where_the_first_event_came_before() -> None:
    world = World()
    world.tell("exit", 3, "died")
    root = world.tell("decision", None, "one for it", verdict="grow")
    world.tell("ready", 3, root=root)
    (chain,) = world.chains()
    assert (chain.what, chain.who) == ("decision", "web")
    assert texts(chain) == ["died", "decided grow: one for it", "ready"]


def test_what_the_watcher_itself_did_for_it_is_in_the_chain_and_nothing_else_is() -> None:
    world = World()
    asked = world.tell("asked", None, "reload by ops")
    change = world.tell("change", None, "limits", cause=asked)
    world.tell("reload", None, "done", cause=change)
    world.tell("add", None, "of something else")
    world.tell("remove", None, "by root", root=asked)
    (chain,) = world.chains()
    assert texts(chain) == ["asked: reload by ops", "change: limits", "reload: done", "remove: by root"]


def test_of_one_worker_only_what_concerns_it_or_all_is_told() -> None:
    world = World()
    asked = world.tell("asked", None, "set by ops")
    world.tell("change", None, "limits", cause=asked)
    world.tell("decision", 1, "too big", verdict="replace", cause=asked)
    world.tell("decision", 2, "too small", verdict="replace", cause=asked)
    world.tell("ready", 1, root=asked)
    world.tell("ready", 2, root=asked)
    (chain,) = world.chains(1)
    assert texts(chain) == ["asked: set by ops", "change: limits", "decided replace: too big", "ready"]
    (chain,) = world.chains()
    assert len(chain.events) == 6


def test_of_one_worker_the_decisions_about_others_are_not_told() -> None:
    world = World()
    world.tell("decision", 1, "a", verdict="hold")
    world.tell("decision", 2, "b", verdict="hold")
    world.tell("decision", None, "c", verdict="hold")
    assert [texts(chain) for chain in world.chains(1)] == [["decided hold: a"]]
    assert len(world.chains()) == 3


def test_chains_come_in_the_order_in_which_they_ended() -> None:
    world = World()
    world.tell("exit", 1, "first to begin")
    world.tell("exit", 2)
    world.tell("ready", 2)
    world.tell("ready", 1)
    assert [(chain.who, chain.at) for chain in world.chains()] == [("web.2", 3.0), ("web.1", 4.0)]


def test_an_event_that_came_of_nothing_came_of_no_event_number_one() -> None:
    world = World()
    world.tell("decision", None, "the very first", verdict="hold")
    world.events[0]["id"] = 1
    world.tell("exit", 3, "died")
    world.tell("ready", 3)
    world.tell("change", None, "of nothing either")
    assert [chain.what for chain in chains(world.events)] == ["decision", "restart"]
    assert [len(chain.events) for chain in chains(world.events)] == [1, 2]


def test_a_line_says_when_who_and_what() -> None:
    world = World()
    world.tell("exit", 3, "died")
    asked = world.tell("asked", None, "restart by ops")
    world.tell("ready", 3, root=asked)
    (chain,) = world.chains()
    assert chain.lines == [
        Line(1.0, "web.3", "died"),
        Line(2.0, "web", "asked: restart by ops"),
        Line(3.0, "web.3", "ready"),
    ]
    assert chain.document() == {
        "what": "command",
        "who": "web",
        "at": 3.0,
        "lines": [
            {"at": 1.0, "who": "web.3", "text": "died"},
            {"at": 2.0, "who": "web", "text": "asked: restart by ops"},
            {"at": 3.0, "who": "web.3", "text": "ready"},
        ],
        "events": world.events,
    }


@pytest.mark.parametrize(("more", "shortened"), [(1, False), (2, False), (3, True), (4, True)])
def test_only_what_is_two_lines_too_long_is_shortened(more: int, shortened: bool) -> None:
    world = World()
    for number in range(1, SHOWN + more):
        world.tell("exit", 3, f"{number}")
    world.tell("ready", 3, "the last")
    (chain,) = world.chains()
    if not shortened:
        assert texts(chain) == [*(f"{number}" for number in range(1, SHOWN + more)), "ready: the last"]
        return
    assert texts(chain) == [
        *(f"{number}" for number in range(1, SHOWN)),
        f"({more} more lines; --json has all)",
        "ready: the last",
    ]
    assert chain.lines[SHOWN - 1] == Line(float(SHOWN), "web", f"({more} more lines; --json has all)")


@pytest.mark.parametrize(
    ("reason", "text"),
    [(None, "it died"), ("exited", "it died"), ("killed", "it died (by us: it did not leave in time)")],
)
def test_whose_signal_it_was_is_added_to_the_words_of_an_exit(reason: str | None, text: str) -> None:
    world = World()
    world.tell("exit", 1, "it died", exit=None if reason is None else {"reason": reason})
    assert texts(world.chains()[0]) == [text]


@pytest.mark.parametrize(
    ("inputs", "text"),
    [
        ({}, "decided hold"),
        ({"none": None, "some": 1}, "decided hold [some 1]"),
        ({"yes": True, "no": False}, "decided hold [yes yes, no no]"),
        ({"few": [1, 2, 3, 4], "pair": (1, 2)}, "decided hold [few [1, 2, 3, 4], pair [1, 2]]"),
        ({"many": [1, 2, 3, 4, 5]}, "decided hold [many 5 of them]"),
        ({"shares": {"1": 0.25, "2": 1 / 3}}, "decided hold [shares.1 0.25, shares.2 0.3333]"),
        ({"a": {"b": {"c": "deep"}}, "veto": "max"}, "decided hold [veto max, a.b.c deep]"),
    ],
)
def test_inputs_are_put_flat_and_short(inputs: dict[str, object], text: str) -> None:
    world = World()
    world.tell("decision", None, "", verdict="hold", inputs=inputs)
    assert texts(world.chains()[0]) == [text]


@pytest.mark.parametrize(
    ("count", "end"), [(SHOWN, "k11 11]"), (SHOWN + 1, "k11 11, 1 more]"), (20, "k11 11, 8 more]")]
)
def test_of_many_inputs_the_first_dozen_are_told(count: int, end: str) -> None:
    world = World()
    inputs: dict[str, object] = {f"k{number}": number for number in range(count)}
    world.tell("decision", None, "", verdict="hold", inputs=inputs | {"veto": "max"})
    (text,) = texts(world.chains()[0])
    assert text.startswith("decided hold [veto max, k0 0, k1 1") and text.endswith(end)


def test_a_circle_of_causes_above_an_event_has_an_end() -> None:
    world = World()
    world.tell("exit", 3, "died", root=1002)
    world.tell("decision", None, "a", verdict="hold", cause=1003)
    world.tell("decision", None, "b", verdict="hold", cause=1002)
    assert [event["id"] for event in world.chains()[0].events][-1] == 1003


def test_standing_still_is_not_in_the_chain_of_the_command_for_it() -> None:
    world = World()
    asked = world.tell("asked", None, "freeze by ops")
    world.tell("frozen", 1, root=asked, cause=asked)
    assert [texts(chain) for chain in world.chains()] == [["asked: freeze by ops"]]
