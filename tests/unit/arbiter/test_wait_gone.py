"""`wait --state gone`: who is still on the way out is waited for, whoever else is gone already."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import cast

import pytest

from circus_cg.arbiter.arbiter import Arbiter
from circus_cg.arbiter.commands.lifecycle import wait
from circus_cg.rpc.messages import BadMessage, Match, Wait


def waited_for(names: list[str], match: Match = "glob") -> bool:
    """Whether there is no answer before the watcher `leaving` is gone; `stays` was never asked to go."""

    async def ask() -> bool:
        leaving = asyncio.get_running_loop().create_future()
        arbiter = SimpleNamespace(runners=dict.fromkeys(["leaving", "stays"]), leaving={"leaving": leaving})
        asked = asyncio.ensure_future(wait(cast(Arbiter, arbiter), Wait(state="gone", name=names, match=match)))
        for _ in range(5):
            await asyncio.sleep(0)
        early = asked.done()
        leaving.set_result(None)
        assert await asked == {}
        return not early

    return asyncio.run(ask())


@pytest.mark.parametrize("names", [["leaving"], ["gone", "leaving"], ["leaving", "gone"], ["gone*", "leav*"]])
def test_a_name_that_is_gone_ends_the_wait_for_no_other(names: list[str]) -> None:
    assert waited_for(names)


@pytest.mark.parametrize("names", [["gone"], ["gone*"], ["stays"]])
def test_who_is_gone_or_was_not_asked_to_go_is_not_waited_for(names: list[str]) -> None:
    assert not waited_for(names)


def test_what_is_no_pattern_is_refused_and_not_taken_for_gone() -> None:
    with pytest.raises(BadMessage, match="no regular expression"):
        waited_for(["(gone"], "regex")
