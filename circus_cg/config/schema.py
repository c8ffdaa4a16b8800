"""Every option: what it means, its unit, its range. Readers, validation and the reference read this one table.

Types and defaults are the specs' own (`circus_cg.spec`); `kinds` gives them by name.
"""

from __future__ import annotations

import difflib
import functools
import re
from collections.abc import Callable
from typing import Any

import msgspec
from msgspec import inspect

from circus_cg import linux, units
from circus_cg.config import control_schema, health_schema, observing_schema, scaling
from circus_cg.config.document import Document, Part
from circus_cg.config.option import (
    BYTES,
    CAPABILITIES,
    COMMAND,
    COUNT,
    CPUS,
    MAX_SECONDS,
    MAX_WORKERS,
    NAMES,
    PAGE,
    PATHS,
    RLIMIT,
    SECONDS,
    SIGNAL,
    SIZE,
    STATUSES,
    STOP_STEP,
    STOPS,
    UMASK,
    Option,
    Unit,
)
from circus_cg.spec import (
    ArbiterSpec,
    Backoff,
    Flapping,
    HealthCheck,
    IoMax,
    Limits,
    Rlimit,
    WatcherSpec,
)

__all__ = [
    "BYTES", "CAPABILITIES", "COMMAND", "COUNT", "CPUS", "KEYS", "MAX_SECONDS", "MAX_WORKERS", "NAMES", "OPTIONS",
    "PATHS", "RLIMIT", "RLIMITS", "SECONDS", "SIGNAL", "SIZE", "STATUSES", "STOPS", "STOP_STEP", "STREAMS", "UMASK",
    "Option", "Unit", "expected", "fields", "from_text", "nearest", "struct_of",
]  # fmt: skip

_NUMBER = re.compile("[0-9]{1,10}")

STREAMS = ("inherit", "null")
LEVELS = ("debug", "info", "warning", "error")
DAEMONS, USERS = "the daemon's", "the user's own"
_WEIGHT = "its share among its siblings; the kernel's default is 100"

_ARBITER = {
    "name": Option("the daemon's name: its directories, groups and lock"),
    "cgroup_root": Option("a path below each hierarchy's mount, `/` is the mount itself", absent="found"),
    "on_missing": Option("what to do about what this host can't enforce or grant", choices=("refuse", "warn")),
    "warmup_delay": Option("so long after one watcher the next one starts", SECONDS, 0, MAX_SECONDS),
    "exit_with": Option(
        "a watcher: when its workers have ended for good the daemon stops, and exits with the last one's code",
        also=("exit_on",),
        absent="the daemon runs until it is stopped",
    ),
    "pidfile": Option("a file for the daemon's pid: an absolute path", also=("pid_file",), absent="there is none"),
    "loglevel": Option("the least that the daemon's log has", choices=LEVELS, also=("log_level",)),
    "logoutput": Option(
        "the file that the daemon's log is appended to: an absolute path",
        also=("log_output", "logfile"),
        absent="standard error",
    ),
    "events_kept": Option("so many events can be asked for after they happened", least=100, most=1_000_000),
    "control": Option("who may operate it from afar: nobody unless it says so", also=("endpoint", "remote", "rpc")),
    "history": Option("what is kept on disk of what happened", also=("events_history", "database")),
    "metrics": Option("what workers use, for Prometheus: nobody is served unless it says so", also=("openmetrics",)),
    "udp_watchdog": Option("circus's watchdog plugin: workers send `pid;time` to a UDP socket", absent="none"),
    "pressure": scaling.PRESSURE,
    "watchers": Option("NAME: a mapping of the watcher's options", also=("services", "programs", "processes")),
}

OPTIONS: dict[type[msgspec.Struct], dict[str, Option]] = {
    ArbiterSpec: _ARBITER,
    Document: {
        **_ARBITER,
        "include": Option("files with more watchers: names or patterns such as `shop.d/*.yaml`", also=("includes",)),
        "env": Option("the environment of all watchers; a watcher's own goes before it", expands=True),
    },
    Part: {"watchers": _ARBITER["watchers"]},
    WatcherSpec: {
        "name": Option("one path component: letters, digits, `_`, `-`, `.`"),
        "cmd": Option(
            "a list, or a string split as a shell would; no shell runs, `$` stays as written",
            COMMAND,
            also=("command", "args", "exec", "program"),
            expands=True,
        ),
        "numprocesses": Option(
            "how many workers",
            least=0,
            most=MAX_WORKERS,
            also=("processes", "workers", "numprocs", "replicas", "count"),
        ),
        "singleton": Option("never more than one worker: `incr` and `set` beyond that are refused"),
        "autostart": Option("start with the daemon"),
        "priority": Option("watchers with a higher one start first and stop last", also=("order",)),
        "after": Option(
            "watchers that are started before this one, and stopped after it",
            NAMES,
            also=("depends_on", "start_after"),
        ),
        "requires": Option(
            "as `after`; and without a ready worker of each of them none begins here",
            NAMES,
            also=("require", "needs", "wants"),
        ),
        "warmup_delay": Option("so long after one worker the next one starts", SECONDS, 0, MAX_SECONDS),
        "env": Option("added to the workers' environment", also=("environment", "environ"), expands=True),
        "env_file": Option(
            "files of `NAME=value` lines, `$` stays as written; what is in `env` goes before them",
            PATHS,
            also=("env_files", "environment_file", "environmentfile"),
            expands=True,
        ),
        "copy_env": Option("start from the daemon's environment instead of a clean one"),
        "copy_path": Option("`PYTHONPATH` is what the daemon's own Python imports from"),
        "virtualenv": Option(
            "its `bin` comes first in `PATH`, its `site-packages` last in `PYTHONPATH`; an absolute path",
            also=("venv",),
            expands=True,
        ),
        "virtualenv_py_ver": Option(
            "the Python version of `virtualenv`, such as `3.11`", absent="the daemon's, or the only one there"
        ),
        "working_dir": Option(
            "an absolute path",
            also=("cwd", "directory", "workdir", "chdir", "working_directory"),
            absent="`/`",
            expands=True,
        ),
        "uid": Option("the workers' user, name or number", least=0, most=2**32 - 2, also=("user",), absent=DAEMONS),
        "gid": Option("their group, name or number", least=0, most=2**32 - 2, also=("group",), absent=USERS),
        "groups": Option("their supplementary groups, names or numbers", least=0, most=2**32 - 2, absent=USERS),
        "umask": Option("file mode creation mask", UMASK, least=0, most=0o777, absent=DAEMONS),
        "nice": Option("scheduling priority", least=-20, most=19, also=("niceness",), absent=DAEMONS),
        "sched_policy": Option(
            "scheduling policy", choices=tuple(linux.POLICIES), also=("cpu_scheduling_policy",), absent=DAEMONS
        ),
        "sched_priority": Option(
            "among `fifo` and `rr`, the highest first", least=1, most=99, also=("rt_priority",), absent="1"
        ),
        "ionice_class": Option("IO scheduling class", choices=tuple(linux.IO_CLASSES), absent="by `nice`"),
        "ionice_level": Option(
            "within `realtime` or `best-effort`, 0 goes first", least=0, most=7, also=("ionice",), absent="4"
        ),
        "cpu_affinity": Option("the CPUs it may run on: `0-3,5`", also=("affinity", "cpus_allowed"), absent=DAEMONS),
        "rlimits": Option("`nofile: 1024`, `core: [0, infinity]` (soft, hard)", also=("ulimits",)),
        "oom_score_adj": Option("added to the kernel's OOM score", least=-1000, most=1000, absent="0"),
        "ambient_capabilities": Option(
            "what a worker that is not root has all the same, and nothing else",
            CAPABILITIES,
            also=("capabilities", "cap_add"),
            absent="none",
        ),
        "bounding_capabilities": Option(
            "all that it, or what it starts, can ever have; `[]`: nothing",
            CAPABILITIES,
            also=("capability_bounding_set", "cap_drop"),
            absent=DAEMONS,
        ),
        "no_new_privs": Option("no set-user-ID program gives it more", also=("no_new_privileges",)),
        "stdout": Option(
            "`inherit`, `null` or the absolute path of a file to append to",
            also=("stdout_logfile",),
            words=STREAMS,
            expands=True,
        ),
        "stderr": Option("as `stdout`", also=("stderr_logfile",), words=STREAMS, expands=True),
        "stop_signal": Option("how a worker is asked to end", SIGNAL, 1, 64, also=("stopsignal", "kill_signal")),
        "graceful_timeout": Option(
            "so long after `stop_signal` the whole group is killed",
            SECONDS,
            0,
            MAX_SECONDS,
            also=("stop_timeout", "stopwaitsecs", "kill_timeout"),
        ),
        "stop": Option(
            "instead of both, several signals one after the other: `[TERM 10s, INT 5s]`; then the group is killed",
            STOPS,
            also=("stop_sequence", "escalation"),
            item=STOP_STEP,
        ),
        "stop_children": Option("those signals go to all that is in the worker's group", also=("stopasgroup",)),
        "send_hup": Option("`reload` sends SIGHUP to each worker, and begins no new life"),
        "restart": Option(
            "which ends are followed by a new life; a worker whose end is not rests as `done`",
            choices=("always", "on-failure", "on-abnormal", "never"),
            also=("respawn", "autorestart", "restart_policy"),
        ),
        "success_exit_status": Option(
            "codes (0 to 255) and signals that are no failure; 0, HUP, INT, TERM and PIPE never are",
            STATUSES,
            least=0,
            most=255,
            also=("exitcodes",),
        ),
        "restart_prevent_exit_status": Option(
            "codes and signals after which nothing is restarted, whatever `restart` says",
            STATUSES,
            least=0,
            most=255,
            also=("stop_exit_codes",),
        ),
        "max_age": Option(
            "so long after its start a worker is replaced, by one that is ready before it goes; 0: never",
            SECONDS,
            0,
            MAX_SECONDS,
            also=("runtime_max_sec", "max_lifetime"),
        ),
        "max_age_variance": Option("up to so much later, by chance", SECONDS, 0, MAX_SECONDS),
        **health_schema.OF_A_WATCHER,
        "min_uptime": Option(
            "a life at least this long is no crash at start", SECONDS, 0, MAX_SECONDS, also=("startsecs",)
        ),
        "max_retry": Option(
            "failures to exec in a row before the slot fails; -1: never", least=-1, also=("startretries",)
        ),
        "backoff": Option("the delay before a restart", also=("restart_delay",)),
        "flapping": Option("when to stop restarting for a while"),
        "limits": Option("of each worker", also=("resources",)),
        "watcher_limits": Option("of the sum of the watcher's workers", also=("pool_limits", "group_limits")),
        "autoscale": scaling.AUTOSCALE,
        "memory_policy": scaling.MEMORY_POLICY,
    },
    **scaling.SCALING,
    Backoff: {
        "initial": Option("the first delay, doubled each time", SECONDS, 0, MAX_SECONDS, also=("min", "delay")),
        "max": Option("the longest delay", SECONDS, 0, MAX_SECONDS, also=("maximum",)),
        "jitter": Option("up to this fraction of the delay is added", least=0, most=1),
    },
    Flapping: {
        "attempts": Option("this many short lives in `window`; 0 switches the rule off", least=0),
        "window": Option("the time in which they are counted", SECONDS, 0, MAX_SECONDS),
        "retry_in": Option("then wait so long", SECONDS, 0, MAX_SECONDS),
        "max_retry": Option("after so many waits the slot fails; -1: never", least=-1),
    },
    **control_schema.OPTIONS,
    **health_schema.OPTIONS,
    **observing_schema.OPTIONS,
    Rlimit: {
        "soft": Option("what the worker starts with", RLIMIT),
        "hard": Option("what it may raise it to", RLIMIT),
    },
    Limits: {
        "cpu_max": Option(
            "how many CPUs' time it may use", CPUS, 0.01, 8192, also=("cpus", "cpu", "cpu_limit", "cpu_quota")
        ),
        "cpu_weight": Option(_WEIGHT, least=1, most=10000, also=("cpu_shares",)),
        "cpuset_cpus": Option("the CPUs it may run on: `0-3,5`", also=("cpuset",)),
        "cpuset_mems": Option("the memory nodes it may use: `0-1`"),
        "memory_max": Option(
            "the hard limit", BYTES, PAGE, also=("memory_limit", "memory", "mem_limit", "mem", "mem_max", "max_memory")
        ),
        "memory_high": Option("from here on it is slowed down and reclaimed", BYTES, PAGE),
        "memory_low": Option("so much is spared by reclaim", BYTES, 0, also=("memory_reservation", "mem_reservation")),
        "memory_swap_max": Option("swap alone", BYTES, 0, also=("swap", "swap_max", "memswap_limit", "swap_limit")),
        "memory_oom_group": Option("an OOM kill takes the whole group"),
        "pids_max": Option("processes and threads", COUNT, 1, also=("pids", "pids_limit", "tasks_max", "max_pids")),
        "io_max": Option("DEVICE: a mapping of `rbps`, `wbps`, `riops`, `wiops`"),
        "io_weight": Option(_WEIGHT, least=1, most=10000, also=("blkio_weight",)),
    },
    IoMax: {
        "device": Option("MAJOR:MINOR or the path of a block device"),
        "rbps": Option("bytes read a second", BYTES, 1, also=("read_bps",)),
        "wbps": Option("bytes written a second", BYTES, 1, also=("write_bps",)),
        "riops": Option("reads a second", COUNT, 1, also=("read_iops",)),
        "wiops": Option("writes a second", COUNT, 1, also=("write_iops",)),
    },
}

KEYS: dict[type[msgspec.Struct], str] = {
    WatcherSpec: "name",
    IoMax: "device",
    HealthCheck: "name",
}  # written as the key of a mapping

RLIMITS = (
    "as", "core", "cpu", "data", "fsize", "memlock", "msgqueue", "nice", "nofile", "nproc", "rss", "rtprio", "rttime",
    "sigpending", "stack",
)  # fmt: skip


@functools.cache
def fields(struct: type[msgspec.Struct]) -> dict[str, inspect.Field]:
    """What an operator may write as keys of `struct`'s mapping: types and defaults."""
    described = inspect.type_info(struct)
    assert isinstance(described, inspect.StructType)
    return {field.encode_name: field for field in described.fields if field.encode_name != KEYS.get(struct)}


def struct_of(kind: inspect.Type) -> type[msgspec.Struct] | None:
    """The struct that an option holds, if it holds one or none."""
    if isinstance(kind, inspect.UnionType):
        kind = next((one for one in kind.types if not isinstance(one, inspect.NoneType)), kind)
    return kind.cls if isinstance(kind, inspect.StructType) else None


def expected(kind: inspect.Type, unit: Unit | None) -> str:
    """What may be written, for messages."""
    if unit is not None:
        return unit.name
    match kind:
        case inspect.BoolType():
            return "true or false"
        case inspect.IntType():
            return "a whole number"
        case inspect.FloatType():
            return "a number"
        case inspect.VarTupleType():
            return "a list"
        case _:
            return "text"


_PLAIN: dict[type[inspect.Type], Callable[[str], Any]] = {
    inspect.BoolType: units.parse_bool,
    inspect.IntType: units.parse_integer,
    inspect.FloatType: units.parse_float,
}


def from_text(kind: inspect.Type, unit: Unit | None, text: str) -> Any:
    """The value of an option whose type is no list, mapping or struct unless its unit reads one. Raises ValueError."""
    if unit is not None:
        return None if text == unit.none else unit.parse(text)
    match kind:
        case inspect.BoolType() | inspect.IntType() | inspect.FloatType():
            return _PLAIN[type(kind)](text)
        case inspect.StrType():
            return text
        case inspect.UnionType(types=(inner, inspect.NoneType())):
            return from_text(inner, None, text)
        case inspect.UnionType():  # a name or a number
            return int(text) if _NUMBER.fullmatch(text) else text
        case _:
            raise ValueError(f"{text[:60]!r} is wrong; expected {expected(kind, unit)}")


def nearest(struct: type[msgspec.Struct], key: str) -> str | None:
    """The option that was probably meant by the unknown `key`; `limits.memory_max` if it belongs one level down."""
    plain = key[:64].lower().replace("-", "_").replace(".", "_")
    own = fields(struct)
    for name in own:
        if plain == name or plain in OPTIONS[struct][name].also:
            return name
    for parent, field in own.items():
        if (inner := struct_of(field.type)) is not None:
            for name, option in OPTIONS[inner].items():
                if plain == name or plain in option.also:
                    return f"{parent}.{name}"
    return next(iter(difflib.get_close_matches(plain, own, n=1)), None)
