"""What the types alone don't promise: names, ranges, paths, and what must fit together.

Specs made by a program are judged here as those read from a file are.
"""

from __future__ import annotations

import difflib
import ipaddress
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

import msgspec

from circus_cg import linux, units
from circus_cg.config import validate_health
from circus_cg.config.problems import Path, Problem
from circus_cg.config.scaling import pressure_problems, scale_problems
from circus_cg.config.schema import KEYS, MAX_SECONDS, OPTIONS, RLIMITS, STREAMS, Option
from circus_cg.core import order
from circus_cg.core.memory import lacks_pressure_rule
from circus_cg.spec import ArbiterSpec, Backoff, Control, Limits, Rlimit, WatcherSpec

MAX_NAME = 64  # characters

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
_KERNELS = re.compile(
    r"(cgroup|cpu|cpuacct|cpuset|memory|pids|io|blkio|freezer|devices|hugetlb|rdma|misc|dmem|net_cls|net_prio"
    r"|perf_event|irq)\..*|tasks|notify_on_release|release_agent"
)
_TCP = re.compile(r"tcp://(?:\[(?P<v6>[0-9A-Fa-f:.]+)\]|(?P<v4>[0-9.]+)|\*):(?P<port>[0-9]{1,5})")
_VERSION = re.compile(r"[0-9]{1,3}\.[0-9]{1,3}")
_DEVICE = re.compile(r"[0-9]{1,7}:[0-9]{1,7}|/dev/.+")


def problems(spec: ArbiterSpec) -> Iterator[Problem]:
    """All that is wrong with `spec`."""
    yield from _ranges(spec, ())
    yield from _name(spec.name, ("name",))
    if spec.cgroup_root is not None:
        yield from _cgroup_root(spec.cgroup_root)
    for key, example in (("pidfile", "/run/shop.pid"), ("logoutput", "/var/log/shop.log")):
        path = getattr(spec, key)
        if path is not None and not path.startswith("/"):
            yield Problem((key,), f"{path[:MAX_NAME]!r} is no absolute path; expected one such as {example}")
    yield from _control(spec.control)
    if spec.metrics.listen is not None and not _is_address(spec.metrics.listen):
        yield Problem(
            ("metrics", "listen"),
            f"{spec.metrics.listen[:MAX_NAME]!r} can't be listened on; expected such as 127.0.0.1:9187 or [::1]:9187",
        )
    if spec.pressure is not None:
        for key, text in pressure_problems(spec.pressure):
            yield Problem(("pressure", key), text)
    if spec.udp_watchdog is not None:
        yield from validate_health.udp_watchdog(spec.udp_watchdog, ("udp_watchdog",))
    seen: dict[str, str] = {}
    for watcher in spec.watchers:
        path = ("watchers", watcher.name)
        if other := seen.get(watcher.name.casefold()):
            yield Problem(path, f"collides with watcher {other!r}; choose names that differ in more than case")
        seen[watcher.name.casefold()] = watcher.name
        yield from watcher_problems(watcher, path)
    yield from _order(spec)


def alone(spec: WatcherSpec) -> Iterator[Problem]:
    """All that is wrong with a watcher, whatever others there are."""
    yield from _ranges(spec, ())
    yield from watcher_problems(spec)


def watcher_problems(spec: WatcherSpec, path: Path = ()) -> Iterator[Problem]:
    """All that is wrong with one watcher, whose place is `path`."""
    yield from _name(spec.name, path)
    if not spec.cmd or not spec.cmd[0]:
        yield Problem((*path, "cmd"), "no program; expected its name or path, then its arguments")
    if spec.singleton and spec.numprocesses > 1:
        yield Problem((*path, "numprocesses"), f"{spec.numprocesses} are too many for a singleton; expected 1")
    for key, example in (("working_dir", "/srv"), ("virtualenv", "/srv/venv")):
        directory = getattr(spec, key)
        if directory is not None and not directory.startswith("/"):
            yield Problem((*path, key), f"{directory!r} is no absolute path; expected one such as {example}")
    yield from _surroundings(spec, path)
    yield from _ends(spec, path)
    for stream in ("stdout", "stderr"):
        target = getattr(spec, stream)
        if target not in STREAMS and not target.startswith("/"):
            yield Problem((*path, stream), f"{target!r} is wrong; expected inherit, null or an absolute path")
    for name in spec.env:
        if not name or "=" in name or "\0" in name:
            yield Problem((*path, "env", name), "no name of a variable; expected one without '=' or NUL")
    for key in ("uid", "gid"):
        yield from _identity(getattr(spec, key), (*path, key))
    for group in spec.groups or ():
        yield from _identity(group, (*path, "groups"))
    yield from _scheduling(spec, path)
    yield from _capabilities(spec, path)
    for name, limit in spec.rlimits.items():
        yield from _rlimit(name, limit, (*path, "rlimits", name))
    yield from _backoff(spec.backoff, (*path, "backoff"))
    yield from validate_health.watcher(spec, path)
    for key in ("limits", "watcher_limits"):
        yield from _limits(getattr(spec, key), (*path, key))
    yield from _policies(spec, path)


def _policies(spec: WatcherSpec, path: Path) -> Iterator[Problem]:
    if spec.autoscale is not None:
        for key, text in scale_problems(spec.autoscale):
            yield Problem((*path, "autoscale", key), text)
        if spec.singleton and spec.autoscale.max > 1:
            yield Problem((*path, "autoscale", "max"), f"{spec.autoscale.max} are too many for a singleton; expected 1")
    if lacks_pressure_rule(spec.limits, spec.memory_policy):
        yield Problem(
            (*path, "limits", "memory_high"),
            "alone it slows a worker down without end; set memory_policy.stalled_at, or memory_max instead",
        )


def _ranges(spec: msgspec.Struct, path: Path) -> Iterator[Problem]:
    """Each option against the table, structs within structs included; no NUL in any text."""
    for key, option in OPTIONS[type(spec)].items():
        here = path if key == KEYS.get(type(spec)) else (*path, key)
        yield from _range(getattr(spec, key), option, here)


def _range(value: Any, option: Option, path: Path) -> Iterator[Problem]:
    match value:
        case None | bool():
            return
        case msgspec.Struct():
            key = KEYS.get(type(value))
            yield from _ranges(value, (*path, getattr(value, key)) if key else path)
        case str():
            if "\0" in value:
                yield Problem(path, "a NUL can't be part of it; remove it")
            elif option.choices and value not in option.choices:
                yield Problem(path, f"{value!r} is wrong; expected {' or '.join(option.choices)}")
        case tuple():
            for one in value:
                yield from _range(one, option, path)
        case dict():
            for key, one in value.items():
                yield from _range(one, option, (*path, key))
        case _:
            yield from _number(value, option, path)


def _number(value: float, option: Option, path: Path) -> Iterator[Problem]:
    least, most = option.least, option.most
    if least is None or (value >= least and (most is None or value <= most)):
        return
    bounds = f"at least {least:.12g}" if most is None else f"{least:.12g} to {most:.12g}"
    yield Problem(path, f"{value} is out of range; expected {bounds}")


def _name(name: str, path: Path) -> Iterator[Problem]:
    if not _NAME.fullmatch(name) or len(name) > MAX_NAME:
        yield Problem(
            path,
            f"{name[:MAX_NAME]!r} can't be a name; expected at most {MAX_NAME} of letters, digits, '_', '-' and '.',"
            " beginning with none of '-' and '.'",
        )
    elif _KERNELS.fullmatch(name):
        yield Problem(path, f"{name!r} is the name of a cgroup's file; put a '_' before it")


def _cgroup_root(root: str) -> Iterator[Problem]:
    inner = root.strip("/").split("/") if root.strip("/") else []
    if not root.startswith("/") or any(part in ("", ".", "..") for part in inner):
        yield Problem(
            ("cgroup_root",),
            f"{root!r} is no path below a hierarchy's mount; expected one such as / or /apps, without '.' and '..'",
        )


def _control(control: Control) -> Iterator[Problem]:
    if control.tcp is not None and not _is_endpoint(control.tcp):
        expected = "tcp://ADDRESS:PORT with an IPv4 address, an IPv6 address in brackets, or *"
        yield Problem(("control", "tcp"), f"{control.tcp[:MAX_NAME]!r} can't be listened on; expected {expected}")
    for key in ("keys", "audit"):
        path = getattr(control, key)
        if path is not None and not path.startswith("/"):
            yield Problem(("control", key), f"{path[:MAX_NAME]!r} is no absolute path; expected one such as /etc/{key}")


def _is_endpoint(text: str) -> bool:
    found = _TCP.fullmatch(text)
    if found is None or not 1 <= int(found["port"]) <= 65535:
        return False
    try:
        if found["v6"]:
            ipaddress.IPv6Address(found["v6"])
        elif found["v4"]:
            ipaddress.IPv4Address(found["v4"])
    except ValueError:
        return False
    return True


def _is_address(text: str) -> bool:
    """As in an endpoint; all of IPv4 is 0.0.0.0."""
    return not text.startswith("*") and _is_endpoint(f"tcp://{text}")


def _identity(value: str | int | None, path: Path) -> Iterator[Problem]:
    if isinstance(value, str) and (not value or ":" in value or value.startswith("-")):
        yield Problem(path, f"{value!r} is wrong; expected a name or a number")


def _surroundings(spec: WatcherSpec, path: Path) -> Iterator[Problem]:
    for file in spec.env_file:
        if not file.startswith("/"):
            yield Problem((*path, "env_file"), f"{file!r} is no absolute path; expected one such as /etc/shop.env")
    version = spec.virtualenv_py_ver
    if version is not None and not _VERSION.fullmatch(version):
        yield Problem(
            (*path, "virtualenv_py_ver"), f"{version[:MAX_NAME]!r} is no version; expected one such as '3.11'"
        )
    if spec.virtualenv is not None and ":" in spec.virtualenv:
        yield Problem((*path, "virtualenv"), f"{spec.virtualenv!r} has a ':', which PATH can't hold; move it")


def _ends(spec: WatcherSpec, path: Path) -> Iterator[Problem]:
    """How a worker ends, and what follows."""
    for step in spec.stop:
        if step.signal not in range(1, 65) or not 0 <= step.wait <= MAX_SECONDS:
            text = f"signal {step.signal} and {step.wait:g} s are out of range; expected 1 to 64, and up to 31 years"
            yield Problem((*path, "stop"), text)
    for key in ("success_exit_status", "restart_prevent_exit_status"):
        for status in getattr(spec, key):
            if isinstance(status, str):
                try:
                    units.signal_number(status)
                except ValueError:
                    text = f"{status[:MAX_NAME]!r} is neither a code nor a signal; expected such as 75 or TERM"
                    yield Problem((*path, key), text)


def _order(spec: ArbiterSpec) -> Iterator[Problem]:
    """Who waits for whom, and who takes the daemon with it."""
    known = [watcher.name for watcher in spec.watchers]
    if spec.exit_with is not None and spec.exit_with not in known:
        yield Problem(("exit_with",), _no_watcher(spec.exit_with, known))
    for watcher in spec.watchers:
        for key in ("after", "requires"):
            for name in getattr(watcher, key):
                if name not in known:
                    yield Problem(("watchers", watcher.name, key), _no_watcher(name, known))
    if found := order.cycle(spec.watchers):
        first = spec.watcher(found[0])
        assert first is not None
        key = "requires" if found[1] in first.requires else "after"
        text = f"a cycle, in which none can begin first: {' -> '.join(found)}; remove one of them"
        yield Problem(("watchers", found[0], key), text)


def _no_watcher(name: str, known: list[str]) -> str:
    guess = next(iter(difflib.get_close_matches(name[:MAX_NAME], known, n=1)), None)
    return f"there is no watcher {name[:MAX_NAME]!r}; " + (f"did you mean {guess!r}?" if guess else "write its name")


def _scheduling(spec: WatcherSpec, path: Path) -> Iterator[Problem]:
    if spec.sched_priority is not None and spec.sched_policy not in linux.REAL_TIME:
        yield Problem((*path, "sched_priority"), "only fifo and rr have one; set sched_policy, or use nice")
    if spec.ionice_level is not None and spec.ionice_class == "idle":
        yield Problem((*path, "ionice_level"), "the class idle has none; remove it")
    yield from _ranges_of(spec.cpu_affinity, (*path, "cpu_affinity"))


def _capabilities(spec: WatcherSpec, path: Path) -> Iterator[Problem]:
    for key in ("ambient_capabilities", "bounding_capabilities"):
        for name in getattr(spec, key) or ():
            if linux.capability(name) is None:
                guess = next(iter(difflib.get_close_matches(name[:MAX_NAME].lower(), linux.CAPABILITIES, n=1)), None)
                remedy = f"did you mean {guess!r}?" if guess else "capabilities(7) lists them"
                yield Problem((*path, key), f"{name[:MAX_NAME]!r} is no capability; {remedy}")
    if spec.ambient_capabilities and spec.bounding_capabilities is not None:
        allowed = set(map(linux.capability, spec.bounding_capabilities))
        for name in spec.ambient_capabilities:
            if linux.capability(name) not in allowed:
                yield Problem((*path, "ambient_capabilities"), f"{name!r} is not among bounding_capabilities; add it")


def _rlimit(name: str, limit: Rlimit, path: Path) -> Iterator[Problem]:
    if name not in RLIMITS:
        yield Problem(path, f"no such limit; expected one of {', '.join(RLIMITS)}")
    if limit.hard is not None and (limit.soft is None or limit.soft > limit.hard):
        yield Problem(path, "the soft limit is above the hard one; expected at most that")


def _backoff(backoff: Backoff, path: Path) -> Iterator[Problem]:
    if backoff.max < backoff.initial:
        yield Problem(
            (*path, "max"), f"{backoff.max:g} s is below initial ({backoff.initial:g} s); expected at least that"
        )


def _limits(limits: Limits, path: Path) -> Iterator[Problem]:
    for key in ("memory_high", "memory_low"):
        below = getattr(limits, key)
        if below is not None and limits.memory_max is not None and below > limits.memory_max:
            yield Problem((*path, key), f"{below} is above memory_max ({limits.memory_max}); expected at most that")
    for key in ("cpuset_cpus", "cpuset_mems"):
        text = getattr(limits, key)
        yield from _ranges_of(text, (*path, key))
    for device, count in Counter(one.device for one in limits.io_max).items():
        here = (*path, "io_max", device)
        if not _DEVICE.fullmatch(device):
            yield Problem(here, "no device; expected MAJOR:MINOR or a path such as /dev/sda")
        if count > 1:
            yield Problem(here, "limited more than once; expected one entry a device")


def _ranges_of(text: str | None, path: Path) -> Iterator[Problem]:
    if text is not None:
        try:
            units.parse_ranges(text)
        except ValueError as wrong:
            yield Problem(path, str(wrong))
