"""A watcher's spawn requests: what is the same for each life of each of its workers, and what the slot puts in."""

import resource
from typing import Any

from circus_cg.arbiter.boot import ArbiterBoot
from circus_cg.cgroup.group import WorkerGroup
from circus_cg.config.substitution import references, substitute
from circus_cg.host.identity import Identity
from circus_cg.spec import DEFAULT_PATH, Rlimit, WatcherSpec

WID = "wid"  # the one reference that differs from worker to worker: $(circus.wid), ((circus.wid))


def template(spec: WatcherSpec, boot: ArbiterBoot, identity: Identity) -> dict[str, Any]:
    """Everything of a spawn request but key, groups and note (keeper.messages lists the fields)."""
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


def names_wid(spec: WatcherSpec) -> bool:
    """Some word of the command or value of `env` refers to the worker's number."""
    return any(WID in references(text) for text in (*spec.cmd, *spec.env.values()))


def request(fixed: dict[str, Any], group: WorkerGroup) -> dict[str, Any]:
    return {**fixed, "v2": group.v2, "v1": group.v1}


def with_wid(asked: dict[str, Any], spec: WatcherSpec, wid: int) -> dict[str, Any]:
    """`asked` with the worker's number in place of its name. What the daemon's own environment says is left alone."""
    values = {WID: str(wid)}
    own = {key: substitute(text, values) for key, text in spec.env.items()}
    return {**asked, "argv": [substitute(word, values) for word in spec.cmd], "env": {**asked["env"], **own}}


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
