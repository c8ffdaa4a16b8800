"""The ground the other functional tests stand on."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.scratch_groups import PARENT, left_of, mounts

EXPECTED = os.environ.get("CIRCUS_CG_EXPECT_LAYOUT")  # set by the guest's runner


def _types() -> set[str]:
    with open("/proc/self/mounts") as table:
        return {row[2] for row in map(str.split, table) if row[2] in ("cgroup", "cgroup2")}


@pytest.mark.host_may_lack("only the guest says which layout it was booted with")
@pytest.mark.skipif(EXPECTED is None, reason="no guest")
def test_the_guest_has_the_layout_it_was_booted_for() -> None:
    assert _types() == {"v2": {"cgroup2"}, "v1": {"cgroup"}, "hybrid": {"cgroup", "cgroup2"}}[str(EXPECTED)]


def test_a_group_can_be_made_and_is_found_and_removed_again(scratch_name: str, request: pytest.FixtureRequest) -> None:
    for mount in mounts():
        group = mount / PARENT / scratch_name
        group.mkdir(parents=True)
        request.addfinalizer(_remover(group))
    assert left_of(scratch_name) == [mount / PARENT / scratch_name for mount in mounts()]


def _remover(group: Path) -> Callable[[], None]:
    return group.rmdir
