"""The kernel's text formats become values; each text is as a kernel prints it."""

from __future__ import annotations

import pytest

from circus_cg.cgroup import parse
from circus_cg.cgroup.parse import Membership, Mount


def test_flat_keyed_files_are_numbers_by_name() -> None:
    assert parse.flat_keyed("low 0\nhigh 224\noom_kill 1\n") == {"low": 0, "high": 224, "oom_kill": 1}
    assert parse.flat_keyed("") == {}


@pytest.mark.parametrize(("text", "value"), [("max\n", None), ("4096\n", 4096), ("0\n", 0)])
def test_max_is_no_limit_and_zero_is_one(text: str, value: int | None) -> None:
    assert parse.limit(text) == value


@pytest.mark.parametrize(("text", "value"), [("9223372036854771712\n", None), ("67108864\n", 67108864)])
def test_the_largest_v1_number_is_no_limit(text: str, value: int | None) -> None:
    assert parse.v1_bytes(text) == value


def test_pressure_has_averages_and_a_total_for_some_and_full() -> None:
    text = "some avg10=1.53 avg60=0.87 avg300=0.20 total=1205634\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=42\n"
    found = parse.pressure(text)
    assert found["some"] == {"avg10": 1.53, "avg60": 0.87, "avg300": 0.20, "total": 1205634}
    assert found["full"]["total"] == 42


def test_memberships_leave_out_named_hierarchies_and_keep_colons_in_paths() -> None:
    text = "9:name=systemd:/user.slice\n4:memory:/a:b\n2:cpu,cpuacct:/c\n0::/user.slice/x.scope\n"
    assert parse.memberships(text) == [
        Membership(("memory",), "/a:b"),
        Membership(("cpu", "cpuacct"), "/c"),
        Membership((), "/user.slice/x.scope"),
    ]


def test_mounts_are_the_cgroup_ones_with_their_controllers() -> None:
    text = (
        "22 1 0:20 / /proc rw,relatime shared:5 - proc proc rw\n"
        "31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755\n"
        "32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,nosuid shared:9 master:2 - cgroup cgroup rw,cpu,cpuacct\n"
        "40 31 0:37 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,xattr,name=systemd\n"
        "41 31 0:38 /docker/abc /sys/fs/cgroup/unified ro - cgroup2 cgroup2 rw,nsdelegate\n"
    )
    assert parse.mounts(text) == [
        Mount(1, "/", "/sys/fs/cgroup/cpu,cpuacct", ("cpu", "cpuacct")),
        Mount(2, "/docker/abc", "/sys/fs/cgroup/unified", ()),
    ]


def test_escaped_paths_are_what_they_stand_for() -> None:
    (mount,) = parse.mounts(r"41 31 0:38 /a\040b /mnt/c\134040d\043 rw - cgroup2 none rw")
    assert (mount.root, mount.point) == ("/a b", r"/mnt/c\040d#")


def test_lines_that_are_no_mounts_are_left_out() -> None:
    assert parse.mounts("\n41 31\n41 31 0:38 / /x rw -\n") == []


@pytest.mark.parametrize(("text", "numbers"), [("0-3,8\n", [0, 1, 2, 3, 8]), ("5", [5]), ("\n", [])])
def test_cpu_lists_are_numbers(text: str, numbers: list[int]) -> None:
    assert parse.cpu_list(text) == numbers
