"""A watcher's spawn requests: what is the same for each life of each of its workers, and what the slot puts in."""

from __future__ import annotations

import hashlib
import resource
from collections.abc import Mapping
from typing import Any

from circus_cg import linux, units
from circus_cg.arbiter.boot import ArbiterBoot
from circus_cg.cgroup.group import WorkerGroup
from circus_cg.config.substitution import WID, references, substitute
from circus_cg.core.ending import escalation, patience
from circus_cg.host import dirs
from circus_cg.host.identity import Identity
from circus_cg.host.virtualenv import Virtualenv
from circus_cg.spec import DEFAULT_PATH, Rlimit, WatcherSpec


def template(spec: WatcherSpec, boot: ArbiterBoot, identity: Identity) -> dict[str, Any]:
    """Everything of a spawn request but key, groups and note (keeper.messages lists the fields)."""
    rlimits = {"nofile": Rlimit(soft=boot.nofile[0], hard=boot.nofile[1]), **spec.rlimits}
    return {
        "argv": list(spec.cmd),
        "env": _environment(spec, boot, identity),
        "cwd": spec.working_dir or "/",
        "umask": spec.umask,
        "nice": spec.nice,
        **_granted(spec),
        "rlimits": [_rlimit(name, limit.soft, limit.hard) for name, limit in rlimits.items()],
        "uid": identity.uid,
        "gid": identity.gid,
        "groups": identity.groups,
        "oom_score_adj": _oom_score_adj(spec, boot),
        "stdout": spec.stdout,
        "stderr": spec.stderr,
        "stop": [int(escalation(spec)[0].signal), patience(spec)],
    }


def names_wid(spec: WatcherSpec) -> bool:
    """Some word of the command or value of `env` refers to the worker's number."""
    return any(WID in references(text) for text in (*spec.cmd, *spec.env.values()))


def request(fixed: dict[str, Any], group: WorkerGroup) -> dict[str, Any]:
    return {**fixed, "v2": group.v2, "v1": group.v1}


def with_wid(asked: dict[str, Any], spec: WatcherSpec, wid: int) -> dict[str, Any]:
    """`asked` with the worker's number in place of its name. What the daemon's own environment says is left alone."""
    values = {WID: str(wid)}
    own = {key: substitute(asked["env"][key], values) for key in spec.env}
    return {**asked, "argv": [substitute(word, values) for word in spec.cmd], "env": {**asked["env"], **own}}


def speaks(spec: WatcherSpec) -> bool:
    """Its workers are heard: they say when they are ready, or that they are alive."""
    return spec.ready != "exec" or spec.watchdog.timeout is not None


def with_voice(asked: dict[str, Any], spec: WatcherSpec, boot: ArbiterBoot, wid: int) -> dict[str, Any]:
    """`asked` with what the worker needs to be heard. A socket's path is short, whatever the watcher is called."""
    asked = {**asked, "env": dict(asked["env"])}
    if spec.ready == "fd":
        asked["notification_fd"] = spec.notification_fd
    if spec.ready == "notify" or spec.watchdog.timeout is not None:
        if boot.runtime is None:
            text = "a library's workers have no notify socket; use `ready: fd`, and no watchdog"
            return {**asked, "failed": {"stage": "notify", "errno": 0, "text": text}}
        digest = hashlib.blake2s(spec.name.encode(), digest_size=6).hexdigest()
        asked["notify"] = asked["env"]["NOTIFY_SOCKET"] = str(dirs.notify_directory(boot.runtime) / f"{digest}.{wid}")
    if spec.watchdog.timeout is not None:
        asked["env"]["WATCHDOG_USEC"] = str(max(1, round(spec.watchdog.timeout * 1e6)))
        asked["own_pid"] = ["WATCHDOG_PID"]
    return asked


def _environment(spec: WatcherSpec, boot: ArbiterBoot, identity: Identity) -> dict[str, str]:
    found = {"PATH": DEFAULT_PATH}
    if spec.copy_env:
        found |= boot.environment
    if spec.copy_path:
        found["PYTHONPATH"] = ":".join(boot.python_path)
    found |= identity.variables | spec.env
    return found if identity.virtualenv is None else _within(identity.virtualenv, found)


def _within(virtualenv: Virtualenv, environment: Mapping[str, str]) -> dict[str, str]:
    """Its programs come first, for they find their own modules; its modules last, for another Python than its own."""
    path, python = environment["PATH"], environment.get("PYTHONPATH")
    return {
        "VIRTUAL_ENV": virtualenv.root,
        **environment,
        "PATH": f"{virtualenv.bin}:{path}" if path else virtualenv.bin,
        "PYTHONPATH": f"{python}:{virtualenv.site}" if python else virtualenv.site,
    }


def _granted(spec: WatcherSpec) -> dict[str, Any]:
    """What a keeper of messages' version 1 would leave out in silence (keeper.messages.SINCE); only what is asked."""
    policy, ambient, bounding = spec.sched_policy, spec.ambient_capabilities, spec.bounding_capabilities
    priority = (spec.sched_priority or 1) if policy in linux.REAL_TIME else 0
    asked = {
        "scheduler": None if policy is None else (linux.POLICIES[policy], priority),
        "io_priority": linux.io_priority(spec.ionice_class, spec.ionice_level),
        "cpus": None if spec.cpu_affinity is None else units.parse_ranges(spec.cpu_affinity),
        "ambient": None if ambient is None else linux.capability_mask(ambient),
        "bounding": None if bounding is None else linux.capability_mask(bounding),
        "no_new_privs": spec.no_new_privs or None,
    }
    return {key: value for key, value in asked.items() if value is not None}


def _oom_score_adj(spec: WatcherSpec, boot: ArbiterBoot) -> int | None:
    """A protected daemon must not protect its workers: a limit could not be enforced on them (nomad#10663).

    A daemon above 0 may lack the right to lower it; its workers then stay where it is.
    """
    if spec.oom_score_adj is not None:
        return spec.oom_score_adj
    return 0 if boot.oom_score_adj < 0 else None


def _rlimit(name: str, soft: int | None, hard: int | None) -> tuple[int, int, int]:
    """-1 is RLIM_INFINITY, as the kernel has it."""
    number: int = getattr(resource, f"RLIMIT_{name.upper()}")
    return number, -1 if soft is None else soft, -1 if hard is None else hard
