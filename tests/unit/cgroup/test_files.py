"""Groups are walked, read and removed without tripping over those that come and go."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator
from pathlib import Path

import pytest

from circus_cg.cgroup import files
from circus_cg.errors import CgroupError


def test_members_of_a_foreign_pid_namespace_are_never_signalled(tmp_path: Path) -> None:
    (tmp_path / "cgroup.procs").write_text("0\n12\n0\n")
    assert files.members(str(tmp_path)) == [12]
    assert files.occupied(str(tmp_path))


def test_a_group_of_only_such_members_is_occupied_all_the_same(tmp_path: Path) -> None:
    (tmp_path / "cgroup.procs").write_text("0\n")
    assert files.members(str(tmp_path)) == []
    assert files.occupied(str(tmp_path))


def test_a_group_that_is_gone_has_nobody_and_nothing(tmp_path: Path) -> None:
    gone = str(tmp_path / "gone")
    assert (files.members(gone), files.walk(gone), files.children(gone)) == ([], [], [])
    assert not files.occupied(gone)
    assert files.remove(gone) and files.remove_tree(gone)


def test_a_walk_sees_parents_before_their_children(tmp_path: Path) -> None:
    (tmp_path / "a/b").mkdir(parents=True)
    (tmp_path / "c").mkdir()
    found = files.walk(str(tmp_path))
    assert sorted(found) == sorted(f"{tmp_path}{below}" for below in ("", "/a", "/a/b", "/c"))
    assert found[0] == str(tmp_path) and found.index(f"{tmp_path}/a") < found.index(f"{tmp_path}/a/b")


def test_a_tree_is_removed_from_its_leaves(tmp_path: Path) -> None:
    (tmp_path / "g/a/b").mkdir(parents=True)
    assert files.remove_tree(str(tmp_path / "g"))
    assert not (tmp_path / "g").exists()


def test_making_a_group_that_is_there_is_no_error(tmp_path: Path) -> None:
    for _ in range(2):
        files.make(str(tmp_path / "g"))


def test_errors_name_the_file_and_what_was_written(tmp_path: Path) -> None:
    with pytest.raises(CgroupError, match=f"cannot write '64' to {tmp_path}/memory.max: No such file"):
        files.write(str(tmp_path), "memory.max", "64")
    with pytest.raises(CgroupError, match=f"cannot read {tmp_path}/memory.max: No such file"):
        files.read(str(tmp_path), "memory.max")
    with pytest.raises(CgroupError, match=f"cannot make {tmp_path}/no/group: No such file"):
        files.make(str(tmp_path / "no/group"))


@pytest.fixture
def few_descriptors() -> Iterator[int]:
    """So few may be open; what is open already counts."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
    yield 256
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_looking_at_many_groups_leaves_half_of_the_descriptors_free(tmp_path: Path, few_descriptors: int) -> None:
    kept = []
    before = len(os.listdir("/proc/self/fd"))
    for number in range(few_descriptors):
        (tmp_path / f"{number}").mkdir()
        (tmp_path / f"{number}/pids.current").write_text(f"{number}")
        kept.append(files.Kept(f"{tmp_path}/{number}"))
    for _ in range(2):  # the first read of each, and one over what is kept
        assert [one.read("pids.current") for one in kept] == [str(number) for number in range(few_descriptors)]
    assert len(os.listdir("/proc/self/fd")) - before <= few_descriptors // 2
    for one in kept:
        one.close()
    assert len(os.listdir("/proc/self/fd")) == before


def test_what_is_closed_can_be_kept_for_another_group(tmp_path: Path, few_descriptors: int) -> None:
    (tmp_path / "pids.current").write_text("1")
    for _ in range(few_descriptors):
        kept = files.Kept(str(tmp_path))
        assert kept.read("pids.current") == "1"
        open_now = len(os.listdir("/proc/self/fd"))
        kept.close()
        assert len(os.listdir("/proc/self/fd")) == open_now - 1
