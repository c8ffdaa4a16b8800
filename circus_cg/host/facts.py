"""What a valid configuration asks of this host and may not find: warnings, since the host may change before it runs."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

from circus_cg.errors import HostError
from circus_cg.host import identity, totals
from circus_cg.spec import DEFAULT_PATH, ArbiterSpec, Limits, WatcherSpec

Variables = Mapping[str, str]
_NO_FILES: Mapping[str, Variables] = {}


def host_warnings(spec: ArbiterSpec, variables: Mapping[str, Variables] = _NO_FILES) -> list[str]:
    """One line a finding: users, groups, programs, directories; watchers that run as root.

    `variables`: by watcher, what its env_file says.
    """
    found = [line for watcher in spec.watchers for line in _watcher(watcher, variables.get(watcher.name, {}))]
    rooted = [watcher.name for watcher in spec.watchers if _runs_as_root(watcher) and _limited(watcher)]
    if (blind := _needing_pressure(spec)) and totals.memory_full() is None:
        found.append(f"{blind}: this kernel tells no memory pressure, so nobody will be ended by it; boot with psi=1")
    if rooted:
        who = "watcher" if len(rooted) == 1 else "watchers"
        found.append(f"{who} {', '.join(rooted)}: runs as root, who can leave a group and lift its limits; set uid")
    return found


def _needing_pressure(spec: ArbiterSpec) -> str:
    """The options that act by memory pressure, '' if there are none."""
    stalling = [one.name for one in spec.watchers if one.limits.memory_high is not None]
    named = ["pressure"] if spec.pressure is not None else []
    return ", ".join(named + [f"memory_policy of {name}" for name in stalling])


def _watcher(spec: WatcherSpec, variables: Variables) -> Iterator[str]:
    try:
        identity.resolve(spec)
    except HostError as missing:
        yield str(missing)
    directory = Path(spec.working_dir or "/")
    if not directory.is_dir():
        yield f"watcher {spec.name!r}: no working_dir {str(directory)!r}; create it"
    yield from _program(spec, directory, variables)
    if spec.ambient_capabilities and _runs_as_root(spec):
        yield f"watcher {spec.name!r}: runs as root, who has all capabilities anyway; set uid or bounding_capabilities"
    for stream, target in (("stdout", spec.stdout), ("stderr", spec.stderr)):
        if target.startswith("/") and not Path(target).parent.is_dir():
            yield f"watcher {spec.name!r}: no directory for {stream} {target!r}; create it"


def _program(spec: WatcherSpec, directory: Path, variables: Variables) -> Iterator[str]:
    """Looked up as the launcher will: by the worker's own PATH, a path from its own directory."""
    program = spec.cmd[0]
    inherited = os.environ.get("PATH", DEFAULT_PATH) if spec.copy_env else DEFAULT_PATH
    path = {"PATH": inherited, **variables, **spec.env}["PATH"]
    if spec.virtualenv is not None:
        path = f"{spec.virtualenv}/bin:{path}"
    if "/" in program:
        if not shutil.which(directory / program):
            yield f"watcher {spec.name!r}: {program!r} is no program that can be run; correct cmd or install it"
    elif not shutil.which(program, path=path):
        yield f"watcher {spec.name!r}: no program {program!r} on its PATH ({path}); install it, or name it by its path"


def _runs_as_root(spec: WatcherSpec) -> bool:
    if spec.uid is None:
        return os.geteuid() == 0
    try:
        return identity.resolve(spec).uid == 0
    except HostError:
        return False


def _limited(spec: WatcherSpec) -> bool:
    return spec.limits != Limits() or spec.watcher_limits != Limits()
