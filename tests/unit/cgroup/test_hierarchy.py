"""The root below which groups are made is found from /proc/self/cgroup and the mounts, or is named."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from circus_cg.cgroup.hierarchy import Layout, find
from circus_cg.errors import HostError


class Host:
    """/proc/self and mount points made of plain files."""

    def __init__(self, base: Path) -> None:
        self.base, self.mounts, self.memberships = base, "", ""

    def mount(self, name: str, kind: str, root: str = "/", groups: tuple[str, ...] = (), available: str = "") -> Path:
        """`kind`: "cgroup2", or the controllers of a v1 hierarchy."""
        point = self.base / name
        fields = "cgroup2 cgroup2 rw" if kind == "cgroup2" else f"cgroup cgroup rw,{kind}"
        escaped = str(point).replace(" ", "\\040")
        self.mounts += f"30 1 0:30 {root} {escaped} rw,relatime - {fields}\n"
        for group in ("", *groups):
            (point / group).mkdir(parents=True, exist_ok=True)
            if kind == "cgroup2":
                (point / group / "cgroup.controllers").write_text(available)
        return point

    def find(self, cgroup_root: str | None = None) -> Layout:
        proc = self.base / "proc/self"
        proc.mkdir(parents=True, exist_ok=True)
        (proc / "mountinfo").write_text(self.mounts)
        (proc / "cgroup").write_text(self.memberships)
        return find(cgroup_root, str(self.base / "proc"))


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


def test_v2_begins_in_our_own_group_with_the_controllers_it_may_give(host: Host) -> None:
    point = host.mount("cg", "cgroup2", groups=("system.slice/x.service",), available="cpu memory pids\n")
    host.memberships = "0::/system.slice/x.service\n"
    layout = host.find()
    assert layout.mode == "v2"
    assert layout.unified is not None
    assert layout.unified.directory == f"{point}/system.slice/x.service"
    assert layout.of("memory") == layout.unified
    assert layout.of("io") is None


def test_v1_has_a_root_in_each_hierarchy(host: Host) -> None:
    host.mount("cpu,cpuacct", "cpu,cpuacct", groups=("a",))
    host.mount("memory", "memory", groups=("b",))
    host.mount("systemd", "name=systemd")
    host.memberships = "3:memory:/b\n2:cpuacct,cpu:/a\n1:name=systemd:/\n"
    layout = host.find()
    assert layout.mode == "v1" and layout.unified is None
    assert {h.controllers: h.root for h in layout.hierarchies} == {("cpu", "cpuacct"): "/a", ("memory",): "/b"}
    assert layout.of("cpuacct") == layout.of("cpu")


def test_hybrid_takes_a_controller_where_v1_has_it(host: Host) -> None:
    host.mount("unified", "cgroup2", available="hugetlb memory")
    host.mount("memory", "memory")
    host.memberships = "1:memory:/\n0::/\n"
    layout = host.find()
    assert layout.mode == "hybrid"
    memory, unified = layout.of("memory"), layout.unified
    assert memory is not None and memory.version == 1
    assert unified is not None and unified.controllers == ("hugetlb",)


def test_the_root_can_be_named_for_every_hierarchy(host: Host) -> None:
    host.mount("memory", "memory", groups=("apps/x",))
    host.mount("unified", "cgroup2", groups=("apps/x",))
    host.memberships = "1:memory:/elsewhere\n0::/elsewhere\n"
    assert {h.root for h in host.find("/apps/x/").hierarchies} == {"/apps/x"}
    assert {h.root for h in host.find("/").hierarchies} == {"/"}


def test_a_hierarchy_that_lacks_the_named_root_is_left_out(host: Host) -> None:
    host.mount("memory", "memory", groups=("apps",))
    host.mount("pids", "pids")
    host.memberships = "2:pids:/\n1:memory:/\n"
    assert [h.controllers for h in host.find("/apps").hierarchies] == [("memory",)]


@pytest.mark.parametrize("root", ["apps", "", "/a/../..", ".."])
def test_a_root_that_would_escape_is_refused(host: Host, root: str) -> None:
    host.mount("cg", "cgroup2")
    with pytest.raises(HostError, match="cannot use cgroup_root"):
        host.find(root)


def test_a_mount_that_shows_a_part_is_entered_below_it(host: Host) -> None:
    point = host.mount("cg", "cgroup2", root="/docker/abc", groups=("inner",))
    host.memberships = "0::/docker/abc/inner\n"
    unified = host.find().unified
    assert unified is not None and unified.directory == f"{point}/inner"
    host.memberships = "0::/docker/abc\n"
    unified = host.find().unified
    assert unified is not None and unified.directory == str(point)


@pytest.mark.parametrize("path", ["/docker/abcdef", "/elsewhere", "/", "/../outside"])
def test_a_mount_that_does_not_show_our_group_is_not_used(host: Host, path: str) -> None:
    host.mount("cg", "cgroup2", root="/docker/abc", groups=("def",))
    host.memberships = f"0::{path}\n"
    with pytest.raises(HostError, match=r"cannot find a cgroup hierarchy .*CIRCUS_CG_ROOT"):
        host.find()


def test_a_root_that_no_mount_has_is_named(host: Host) -> None:
    host.mount("cg", "cgroup2")
    with pytest.raises(HostError, match=r"no mount has a group /apps; make it"):
        host.find("/apps")


def test_a_host_without_cgroup_mounts_is_told_what_to_mount(host: Host) -> None:
    with pytest.raises(HostError, match="none is mounted; mount cgroup2"):
        host.find()


def test_a_private_namespace_begins_at_its_own_root(host: Host) -> None:
    point = host.mount("cg", "cgroup2")
    host.memberships = "0::/\n"
    unified = host.find().unified
    assert unified is not None and unified.directory == str(point)


def test_a_mount_from_outside_our_namespace_needs_a_named_root(host: Host) -> None:
    host.mount("cg", "cgroup2", root="/../..", groups=("apps",))
    host.memberships = "0::/\n"
    with pytest.raises(HostError):
        host.find()
    assert host.find("/apps").mode == "v2"


def test_blanks_in_a_mount_point_are_understood(host: Host) -> None:
    point = host.mount("my cgroups", "cgroup2")
    host.memberships = "0::/\n"
    assert host.find().hierarchies[0].mount == str(point)


def test_a_second_mount_of_v2_is_left_out(host: Host) -> None:
    host.mount("one", "cgroup2")
    host.mount("two", "cgroup2")
    host.memberships = "0::/\n"
    assert len(host.find().hierarchies) == 1


def test_the_topmost_of_two_mounts_at_a_point_counts(host: Host) -> None:
    host.mount("cg", "memory")
    host.mount("cg", "cgroup2", available="cpu")
    host.memberships = "1:memory:/\n0::/\n"
    assert [h.controllers for h in host.find().hierarchies] == [("cpu",)]


def test_a_layout_survives_the_way_to_the_arbiter(host: Host) -> None:
    host.mount("cg", "cgroup2", available="cpu memory")
    host.memberships = "0::/\n"
    layout = host.find()
    assert msgspec.json.decode(msgspec.json.encode(layout), type=Layout) == layout


def test_a_host_without_proc_is_told(tmp_path: Path) -> None:
    with pytest.raises(HostError, match="cannot read"):
        find(None, str(tmp_path))
