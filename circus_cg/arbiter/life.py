"""The static part of a watcher's spawn requests: what is the same for each life of each of its workers."""

import resource
from typing import Any

from circus_cg.arbiter.boot import ArbiterBoot
from circus_cg.cgroup.group import WorkerGroup
from circus_cg.spec import DEFAULT_PATH, Rlimit, WatcherSpec


def template(spec: WatcherSpec, boot: ArbiterBoot) -> dict[str, Any]:
    """Everything of a spawn request but key, groups and note (keeper.messages lists the fields)."""
    identity = boot.identities[spec.name]
    environment = boot.environment if spec.copy_env else {}
    rlimits = {"nofile": Rlimit(soft=boot.nofile[0], hard=boot.nofile[1]), **spec.rlimits}
    return {
        "argv": list(spec.cmd),
        "env": {"PATH": DEFAULT_PATH, **environment, **spec.env},
        "cwd": spec.working_dir or "/",
        "umask": spec.umask,
        "nice": spec.nice,
        "rlimits": [_rlimit(name, limit.soft, limit.hard) for name, limit in rlimits.items()],
        "uid": identity.uid,
        "gid": identity.gid,
        "groups": identity.groups,
        "oom_score_adj": _oom_score_adj(spec, boot),
        "stdout": spec.stdout,
        "stderr": spec.stderr,
        "stop": [int(spec.stop_signal), spec.graceful_timeout],
    }


def request(fixed: dict[str, Any], group: WorkerGroup) -> dict[str, Any]:
    return {**fixed, "v2": group.v2, "v1": group.v1}


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
