"""What the keeper does with each request; that it does no more than eight kinds."""

from __future__ import annotations

import re
from typing import Any, cast

from circus_cg.keeper import messages
from circus_cg.keeper.ledger import Ledger
from circus_cg.keeper.link import ArbiterLink
from circus_cg.keeper.notify import Notifier
from circus_cg.keeper.requests import Requests
from circus_cg.keeper.spawning import Spawning


class Link:
    """What is said to the arbiter."""

    channel = None
    failures = 2

    def __init__(self) -> None:
        self.said: list[dict[str, Any]] = []

    def send(self, message: dict[str, Any]) -> None:
        self.said.append(message)


class Nothing:
    note = ""
    leaving = False
    watched = 3
    in_flight = 1


def made() -> tuple[Requests, Link]:
    link, keeper = Link(), cast("Any", Nothing())
    spawning, notify = cast(Spawning, Nothing()), Notifier({}, 1, 0.0)
    return Requests(keeper, Ledger(), spawning, cast(ArbiterLink, link), notify), link


def test_there_are_eight_kinds_and_each_is_described() -> None:
    requests, _ = made()
    described = re.findall(r"^    (\w+)", messages.__doc__ or "", re.MULTILINE)
    assert sorted(described) == sorted(requests.kinds)
    assert len(described) == 8


def test_a_pong_is_answered_only_if_it_asks_for_counts() -> None:
    requests, link = made()
    requests.serve({"op": "pong"})
    assert link.said == []
    requests.serve({"op": "pong", "counts": True})
    (answer,) = link.said
    assert answer["op"] == "counts"
    assert (answer["watched"], answer["in_flight"], answer["failures"], answer["slots"]) == (3, 1, 2, {})


def test_what_an_arbiter_of_another_version_asks_is_no_harm() -> None:
    requests, link = made()
    requests.serve({"op": "counts"})
    requests.serve({"op": "pong", "counts": True, "more": 1})
    assert len(link.said) == 1
