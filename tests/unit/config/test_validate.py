"""Validation: a spec that passes can be carried out as far as its text goes; one made by a program is judged alike."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from circus_cg.config import schema, validate
from circus_cg.spec import ArbiterSpec, Backoff, Control, IoMax, Limits, Rlimit, WatcherSpec


def told(watcher: dict[str, Any]) -> list[str]:
    spec = ArbiterSpec(watchers=(WatcherSpec(**{"name": "web", "cmd": ("serve",), **watcher}),))
    return [".".join(problem.path[2:]) for problem in validate.problems(spec)]


def test_a_plain_watcher_is_right() -> None:
    assert told({}) == []


@pytest.mark.parametrize(
    "name",
    [
        *("", ".", "..", "a/b", "../x", "@daemon", ".hidden", "-x", "a b", "é", "a\n", "a\0", "x" * 65),
        *("tasks", "memory.max", "cgroup.procs"),
    ],
)
def test_a_name_that_is_no_plain_directory_is_refused(name: str) -> None:
    assert [p.path for p in validate.problems(ArbiterSpec(name=name))][:1] == [("name",)]
    assert told({"name": name})[:1] == [""]


@pytest.mark.parametrize("name", ["web", "Web-1", "_x", "a.b", "9", "memory", "x" * 64])
def test_a_plain_name_passes(name: str) -> None:
    assert told({"name": name}) == []


@pytest.mark.parametrize("second", ["web", "WEB"])
def test_two_watchers_can_not_share_a_name_whatever_its_case(second: str) -> None:
    spec = ArbiterSpec(watchers=tuple(WatcherSpec(name=name, cmd=("x",)) for name in ("web", second)))
    assert [problem.path for problem in validate.problems(spec)] == [("watchers", second)]


@pytest.mark.parametrize("root", ["", "apps", "/../x", "/a/..", "/a//b", "/./a", "/a\0"])
def test_a_cgroup_root_that_leads_elsewhere_is_refused(root: str) -> None:
    assert [p.path for p in validate.problems(ArbiterSpec(cgroup_root=root))][:1] == [("cgroup_root",)]


@pytest.mark.parametrize("root", ["/", "/apps", "/a/b/"])
def test_a_cgroup_root_below_the_mount_passes(root: str) -> None:
    assert list(validate.problems(ArbiterSpec(cgroup_root=root))) == []


@pytest.mark.parametrize(
    "tcp",
    [
        *("", "tcp://", "7777", "tcp://*", "tcp://*:0", "tcp://*:65536", "tcp://::1:7777", "tcp://[::1]", "udp://*:1"),
        *("tcp://host:7777", "tcp://1.2.3:7777", "tcp://1.2.3.256:7", "tcp://[1.2.3.4]:7", "tcp://[::g]:7", "ipc:///x"),
        *("tcp://*:7777\n", "tcp://eth0:7777", "tcp://*:7777;tcp://*:1"),
    ],
)
def test_what_is_no_address_can_not_be_listened_on(tcp: str) -> None:
    spec = ArbiterSpec(control=Control(tcp=tcp))
    assert [problem.path for problem in validate.problems(spec)] == [("control", "tcp")]


@pytest.mark.parametrize("tcp", ["tcp://*:1", "tcp://127.0.0.1:7777", "tcp://[::]:65535", "tcp://[::ffff:1.2.3.4]:7"])
def test_an_address_passes(tcp: str) -> None:
    assert list(validate.problems(ArbiterSpec(control=Control(tcp=tcp)))) == []


@pytest.mark.parametrize(
    "control",
    [{"keys": "keys"}, {"audit": ""}, {"rate": 0.0}, {"burst": 0}, {"connections": 1}, {"handshake_timeout": 0.0}],
)
def test_bounds_and_paths_of_the_control_channel_are_judged(control: dict[str, Any]) -> None:
    spec = ArbiterSpec(control=Control(**control))
    assert [problem.path for problem in validate.problems(spec)] == [("control", *control)]


@pytest.mark.parametrize(
    ("options", "path"),
    [
        ({"cmd": ()}, "cmd"),
        ({"cmd": ("",)}, "cmd"),
        ({"cmd": ("a", "b\0")}, "cmd"),
        ({"numprocesses": -1}, "numprocesses"),
        ({"graceful_timeout": -0.1}, "graceful_timeout"),
        ({"graceful_timeout": float("inf")}, "graceful_timeout"),
        ({"graceful_timeout": float("nan")}, "graceful_timeout"),
        ({"nice": 20}, "nice"),
        ({"nice": -21}, "nice"),
        ({"oom_score_adj": 1001}, "oom_score_adj"),
        ({"umask": 0o1000}, "umask"),
        ({"stop_signal": 0}, "stop_signal"),
        ({"max_retry": -2}, "max_retry"),
        ({"working_dir": "srv"}, "working_dir"),
        ({"stdout": "log.txt"}, "stdout"),
        ({"stderr": ""}, "stderr"),
        ({"stderr": "/a\0"}, "stderr"),
        ({"env": {"A=B": ""}}, "env.A=B"),
        ({"env": {"": ""}}, "env."),
        ({"env": {"A": "\0"}}, "env.A"),
        ({"uid": ""}, "uid"),
        ({"uid": -1}, "uid"),
        ({"uid": 2**32 - 1}, "uid"),
        ({"gid": "a:b"}, "gid"),
        ({"groups": (1, "")}, "groups"),
        ({"rlimits": {"nofiles": Rlimit()}}, "rlimits.nofiles"),
        ({"rlimits": {"nofile": Rlimit(soft=2, hard=1)}}, "rlimits.nofile"),
        ({"rlimits": {"nofile": Rlimit(soft=None, hard=1)}}, "rlimits.nofile"),
        ({"backoff": Backoff(initial=2.0, max=1.0)}, "backoff.max"),
        ({"backoff": Backoff(jitter=1.5)}, "backoff.jitter"),
        ({"limits": Limits(cpu_max=0.0)}, "limits.cpu_max"),
        ({"limits": Limits(cpu_max=0.009)}, "limits.cpu_max"),
        ({"limits": Limits(cpu_weight=10001)}, "limits.cpu_weight"),
        ({"limits": Limits(memory_max=64)}, "limits.memory_max"),
        ({"limits": Limits(memory_max=1 << 20, memory_high=2 << 20)}, "limits.memory_high"),
        ({"limits": Limits(memory_max=1 << 20, memory_low=2 << 20)}, "limits.memory_low"),
        ({"limits": Limits(pids_max=0)}, "limits.pids_max"),
        ({"limits": Limits(io_weight=0)}, "limits.io_weight"),
        ({"limits": Limits(cpuset_cpus="0-")}, "limits.cpuset_cpus"),
        ({"limits": Limits(cpuset_cpus="3-1")}, "limits.cpuset_cpus"),
        ({"limits": Limits(cpuset_mems="")}, "limits.cpuset_mems"),
        ({"limits": Limits(io_max=(IoMax(device="sda"),))}, "limits.io_max.sda"),
        ({"limits": Limits(io_max=(IoMax(device="8:0"), IoMax(device="8:0")))}, "limits.io_max.8:0"),
        ({"limits": Limits(io_max=(IoMax(device="8:0", rbps=0),))}, "limits.io_max.8:0.rbps"),
        ({"watcher_limits": Limits(pids_max=-1)}, "watcher_limits.pids_max"),
        ({"singleton": True, "numprocesses": 2}, "numprocesses"),
        ({"env_file": ("etc/x.env",)}, "env_file"),
        ({"virtualenv": "venv"}, "virtualenv"),
        ({"virtualenv": "/a:/b"}, "virtualenv"),
        ({"virtualenv_py_ver": "3/../../x"}, "virtualenv_py_ver"),
        ({"sched_policy": "deadline"}, "sched_policy"),
        ({"sched_priority": 5}, "sched_priority"),
        ({"sched_policy": "batch", "sched_priority": 5}, "sched_priority"),
        ({"sched_policy": "fifo", "sched_priority": 0}, "sched_priority"),
        ({"ionice_class": "best"}, "ionice_class"),
        ({"ionice_class": "idle", "ionice_level": 3}, "ionice_level"),
        ({"cpu_affinity": "3-1"}, "cpu_affinity"),
        ({"cpu_affinity": ""}, "cpu_affinity"),
        ({"ambient_capabilities": ("net_bindservice",)}, "ambient_capabilities"),
        ({"ambient_capabilities": ("kill",), "bounding_capabilities": ("chown",)}, "ambient_capabilities"),
        ({"bounding_capabilities": ("all",)}, "bounding_capabilities"),
    ],
)
def test_what_can_not_be_is_told_at_its_place(options: dict[str, Any], path: str) -> None:
    assert told(options)[:1] == [path]


def test_what_fits_together_passes() -> None:
    for options in (
        {"singleton": True, "numprocesses": 0},
        {"sched_policy": "rr", "sched_priority": 99},
        {"ionice_level": 0},
        {"ambient_capabilities": ("CAP_KILL",), "bounding_capabilities": ("kill", "chown")},
        {"bounding_capabilities": ()},
    ):
        assert told(options) == []


def test_the_bounds_themselves_pass() -> None:
    for limits in (
        Limits(cpu_max=0.01, cpu_weight=1, io_weight=10000, memory_max=4096),
        Limits(cpuset_cpus="0-3,5,7-7"),
    ):
        assert told({"limits": limits}) == []
    assert told({"nice": -20, "oom_score_adj": 1000, "graceful_timeout": 0.0, "numprocesses": 0, "umask": 0}) == []


def test_the_table_describes_every_field_of_every_spec() -> None:
    for struct, options in schema.OPTIONS.items():
        assert list(options) == [field.name for field in msgspec.structs.fields(struct)]
        assert all(option.description for option in options.values())


def test_every_unknown_name_leads_to_one_option_only() -> None:
    for options in schema.OPTIONS.values():
        names = [name for key, option in options.items() for name in (key, *option.also)]
        assert len(names) == len(set(names))
