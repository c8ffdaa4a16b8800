"""An operator's command in the journal, in the words that it came with: bounded, and nothing that a reader obeys."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import msgspec
import pytest

from circus_cg.arbiter.arbiter import Arbiter
from circus_cg.arbiter.commands.asking import Asking
from circus_cg.arbiter.commands.target import Fields
from circus_cg.arbiter.journal import Journal
from circus_cg.core.access import Caller, Role
from circus_cg.core.record import Record
from circus_cg.errors import CommandRefused
from circus_cg.rpc import messages as rpc

NASTY = "\x1b]0;owned\x07\nTERM\u202e" + "9" * 1_000_000


def told(command: str, asked: msgspec.Struct, refusal: str = "") -> Record:
    """The one record of it: something came of it, or it was refused."""
    journal = Journal()
    arbiter = cast(Arbiter, SimpleNamespace(runners={"web": None}, journal=journal))

    def work() -> Fields:
        if refusal:
            raise CommandRefused(refusal)
        journal.tell("web", "start")
        return {}

    asking = Asking(arbiter, command, asked, Caller("alice", Role.OPERATE))
    if refusal:
        with pytest.raises(CommandRefused):
            asking.begin(work)
    else:
        asking.begin(work)
    return next(iter(journal.ring.read(journal.ring.oldest, 1)))[1]


@pytest.mark.parametrize("refusal", ["", "no such signal"])
def test_a_command_is_told_in_its_words(refusal: str) -> None:
    record = told("signal", rpc.Signal(name="web", signum="HUP", wid=2), refusal)
    assert record.detail == "signal 2 HUP by alice" + (refusal and f": {refusal}")


@pytest.mark.parametrize("refusal", ["", "no such signal"])
@pytest.mark.parametrize(
    ("command", "asked"),
    [
        ("signal", rpc.Signal(name="web", signum=NASTY)),
        ("kill", rpc.Kill(name="web", signum=NASTY)),
        ("set", rpc.Set(name="web", options={f"env.{number}{NASTY}": 1 for number in range(30)})),
    ],
)
def test_the_words_of_a_command_are_bounded_and_no_terminal_obeys_them(command: str, asked: Any, refusal: str) -> None:
    detail = told(command, asked, refusal).detail
    assert detail.isprintable() and len(detail) < 1000
    assert detail.startswith(command) and " by alice" in detail


def test_why_it_was_refused_is_bounded_too() -> None:
    detail = told("signal", rpc.Signal(name="web", signum="HUP"), f"cannot find {NASTY}").detail
    assert detail.isprintable() and len(detail) < 1000
    assert detail.startswith("signal HUP by alice: cannot find ")
