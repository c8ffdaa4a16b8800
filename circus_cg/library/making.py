"""A program's words -> specs -> trainers and arbiters. No configuration object in between: options are arguments."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, TypedDict, Unpack

from msgspec.structs import replace

from circus_cg import spec as specs
from circus_cg.config import validate
from circus_cg.config.options import revised
from circus_cg.config.words import command_words
from circus_cg.errors import ConfigError, HostError
from circus_cg.library.embedded import LocalArbiter, Trainer
from circus_cg.library.events import Event
from circus_cg.library.limits import Limits, understood
from circus_cg.spec import ArbiterSpec, WatcherSpec

LimitsLike = Limits | specs.Limits | Mapping[str, Any]


class WatcherOptions(TypedDict, total=False):
    """Options of a watcher beside its command, count and limits; the configuration reference tells each one's meaning.

    Times are seconds, or text such as "30s"; signals numbers or names; a umask is text such as "022", or 0o22.
    """

    singleton: bool
    autostart: bool
    priority: int
    after: str | Sequence[str]
    requires: str | Sequence[str]
    warmup_delay: float | str
    env: Mapping[str, str]
    env_file: str | Sequence[str]
    copy_env: bool
    copy_path: bool
    virtualenv: str
    virtualenv_py_ver: str
    working_dir: str
    uid: str | int
    gid: str | int
    groups: Sequence[str | int]
    umask: int | str
    nice: int
    sched_policy: str
    sched_priority: int
    ionice_class: str
    ionice_level: int
    cpu_affinity: str
    rlimits: Mapping[str, int | str | Sequence[int | str]]
    oom_score_adj: int
    ambient_capabilities: str | Sequence[str]
    bounding_capabilities: str | Sequence[str]
    no_new_privs: bool
    stdout: str
    stderr: str
    stop_signal: int | str
    graceful_timeout: float | str
    stop: str | Sequence[str]
    stop_children: bool
    send_hup: bool
    restart: str
    success_exit_status: str | Sequence[int | str]
    restart_prevent_exit_status: str | Sequence[int | str]
    max_age: float | str
    max_age_variance: float | str
    autoscale: specs.ScalePolicy | Mapping[str, Any]
    memory_policy: specs.MemoryPolicy | Mapping[str, Any]
    ready: str
    notification_fd: int
    start_timeout: float | str
    watchdog: specs.Watchdog | Mapping[str, Any]
    health: Mapping[str, Mapping[str, Any]]
    min_uptime: float | str
    max_retry: int
    backoff: specs.Backoff | Mapping[str, Any]
    flapping: specs.Flapping | Mapping[str, Any]


def get_trainer(  # noqa: PLR0913 - options, by name
    cmd: str | Sequence[str],
    numprocesses: int = 1,
    *,
    name: str = "trainer",
    limits: LimitsLike | None = None,
    watcher_limits: LimitsLike | None = None,
    cgroup_root: str | None = None,
    on_event: Callable[[Event], object] | None = None,
    **options: Unpack[WatcherOptions],
) -> Trainer:
    """A trainer that keeps `numprocesses` workers of `cmd` running, each in a cgroup of its own. It is not started.

    `cmd`: words, or one text split as a shell would (no shell runs). `limits` bind each worker, `watcher_limits` their
    sum. `cgroup_root`: a path below each hierarchy's mount, "/" for its root; found if left out (or CIRCUS_CG_ROOT).
    `working_dir`: the current directory of this moment if left out, so that `cmd` may name files in it. `on_event` is
    called for each event, in a thread of ours. Raises ConfigError for what makes no sense, HostError when the current
    directory would be needed and can't be used.

        with get_trainer("python3 worker.py", 3, limits=Limits(memory_max="64M")) as trainer:
            trainer.wait()
    """
    watcher = made(
        name, cmd=cmd, numprocesses=numprocesses, limits=limits, watcher_limits=watcher_limits, **dict(options)
    )
    return Trainer(_arbiter_spec(name, [watcher], cgroup_root), on_event=on_event)


def get_arbiter(
    watchers: Iterable[WatcherSpec | Mapping[str, Any]],
    *,
    name: str = "arbiter",
    cgroup_root: str | None = None,
    on_event: Callable[[Event], object] | None = None,
) -> LocalArbiter:
    """An arbiter of several watchers, each a mapping: `name`, `cmd` and the options of `get_trainer`. Not started yet.

    A WatcherSpec will do as well; its `working_dir` too is the directory that is current now if left out.

        with get_arbiter([{"name": "web", "cmd": "web"}, {"name": "jobs", "cmd": "job", "numprocesses": 4}]) as arbiter:
            arbiter["jobs"].incr(2)

    Raises ConfigError for what makes no sense, HostError when the current directory
    would be needed and can't be used.
    """
    found = [one if isinstance(one, WatcherSpec) else made(**dict(one)) for one in watchers]
    return LocalArbiter(_arbiter_spec(name, found, cgroup_root), on_event=on_event)


def made(name: str = "", *, cmd: str | Sequence[str] = (), **options: Any) -> WatcherSpec:
    """A watcher from arguments; None leaves a default. Raises ConfigError."""
    words: tuple[str, ...]
    try:
        words = command_words(cmd) if isinstance(cmd, str) else tuple(os.fsdecode(word) for word in cmd)
    except ValueError as wrong:
        raise ConfigError([f"cmd: {wrong}"]) from wrong
    except TypeError as wrong:
        raise ConfigError([f"cmd: expected a text, or a list of words ({wrong})"]) from wrong
    given = {key: value for key, value in options.items() if value is not None}
    for key in {"limits", "watcher_limits"} & given.keys():
        given[key] = understood(given[key], key)
    return revised(WatcherSpec(name=name, cmd=words), given)


def _arbiter_spec(name: str, watchers: list[WatcherSpec], cgroup_root: str | None) -> ArbiterSpec:
    root = cgroup_root if cgroup_root is not None else os.environ.get("CIRCUS_CG_ROOT")
    spec = ArbiterSpec(name=name, cgroup_root=root, watchers=tuple(map(_placed, watchers)))
    problems = [f"{'.'.join(found.path)}: {found.text}" for found in validate.problems(spec)]
    problems += [text for watcher in watchers for text in _for_daemons(watcher)]
    if problems:
        raise ConfigError(problems)
    return spec


def _placed(spec: WatcherSpec) -> WatcherSpec:
    """A program's own files are where it runs; only a daemon's workers begin in /. Raises HostError."""
    if spec.working_dir is not None:
        return spec
    try:
        here = os.getcwd()
        here.encode()  # what the arbiter writes of a watcher is UTF-8
    except OSError as gone:  # it was removed
        text = f"cannot use the current directory: {gone.strerror}; go to another, or give working_dir"
        raise HostError(text) from gone
    except UnicodeEncodeError as foreign:
        text = f"cannot use the current directory {here!r}: not UTF-8; go to another, or give working_dir"
        raise HostError(text) from foreign
    return replace(spec, working_dir=here)


def _for_daemons(spec: WatcherSpec) -> Iterator[str]:
    """What needs a runtime directory, which a library's arbiter has not."""
    if spec.ready == "notify":
        yield f"{spec.name}.ready: a library's workers have no notify socket; use 'fd'"
    if spec.watchdog.timeout is not None:
        yield f"{spec.name}.watchdog: a library's workers have no notify socket; use a health check"
    for check in spec.health:
        if check.exec:
            yield f"{spec.name}.health.{check.name}: a library runs no commands beside its workers; use tcp or http"
