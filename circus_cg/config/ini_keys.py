"""What becomes of each key of circus: it acts, or one line says that it does not yet, or never will, and why.

The options of our own specs aren't listed: `schema.OPTIONS` has them. `docs/howto/from-circus.md` shows this table.
"""

from __future__ import annotations

import difflib
from typing import NamedTuple

from circus_cg.config import schema
from circus_cg.config.findings import Kind
from circus_cg.spec import ArbiterSpec, WatcherSpec


class Fate(NamedTuple):
    """`kind` None: it acts, as `why` says. A value in `idle` asks for nothing, so nothing is said about it."""

    kind: Kind | None
    why: str
    idle: tuple[str, ...] = ()


_NO = ("false", "no", "off", "0", "")
_YES = ("true", "yes", "on", "1")


def _acts(how: str) -> Fate:
    return Fate(None, how)


def _not_yet(why: str, idle: tuple[str, ...] = ("",)) -> Fate:
    return Fate(Kind.NOT_YET, why, idle)


def _never(why: str, idle: tuple[str, ...] = ("",)) -> Fate:
    return Fate(Kind.NEVER, why, idle)


_ENDPOINT = "only the daemon's own socket, for its user alone, is there; `circus-cg ctl` finds it by the daemon's name"
_STATISTICS = "statistics are published on the daemon's own socket, which `globaloptions` tells"
_WEB = "there is no web server in the daemon"
_LOG = "the daemon writes its log to standard error"

CIRCUS = {
    "check_delay": _never("nothing is polled: the kernel tells of a death at once"),
    "endpoint": _not_yet(_ENDPOINT),
    "endpoint_owner": _not_yet(_ENDPOINT),
    "pubsub_endpoint": _not_yet("events are published on the daemon's own socket, which `globaloptions` tells"),
    "stats_endpoint": _not_yet(_STATISTICS),
    "statsd": _not_yet(_STATISTICS, _NO),
    "statsd_close_outputs": _never("circus itself does not read it", _NO),
    "multicast_endpoint": _never("nobody on the network is told where a daemon can be controlled"),
    "warmup_delay": _acts("seconds between the starts of two watchers"),
    "httpd": _never(_WEB, _NO),
    "httpd_host": _never(_WEB),
    "httpd_port": _never(_WEB),
    "httpd_close_outputs": _never("circus itself does not read it", _NO),
    "debug": _not_yet(_LOG, _NO),
    "debug_gc": _never("it debugs circus, not what it runs", _NO),
    "pidfile": _acts("a file with the daemon's pid, relative to the directory it is started in"),
    "umask": _acts("octal, the mask of every worker"),
    "loglevel": _acts("the least that the daemon's log has; critical is error here"),
    "logoutput": _acts("a file, relative to the directory the daemon is started in; - is standard error"),
    "loggerconfig": _never("the log is lines of text; loglevel and logoutput say which, and where", ("", "default")),
    "fqdn_prefix": _not_yet("the daemon has no node name"),
    "include": _acts("files and globs from the main file's directory, which must be as trusted as it is"),
    "include_dir": _acts("every *.ini of the directories, in the order of their names"),
    "stream_backend": _never("circus itself does not read it"),
    "ssh_server": _never("control over the network will be encrypted by itself"),
}

WATCHER = {
    "cmd": _acts("split into words as a shell would; no shell runs"),
    "args": _acts("words added to those of cmd"),
    "numprocesses": _acts("how many workers"),
    "shell": _acts("each word is quoted and /bin/sh runs them, as circus does: the shell sees no operators"),
    "shell_args": _acts("what the shell gets as $0, $1, ..."),
    "working_dir": _acts("without it, the directory the daemon was started in"),
    "uid": _acts("the workers' user, name or number"),
    "gid": _acts("their group; without it, the user's own"),
    "copy_env": _acts("start from the daemon's environment; without it, from nothing but PATH"),
    "copy_path": _acts("PYTHONPATH is what the daemon's Python imports from; without copy_env too"),
    "virtualenv": _acts("its bin comes first in PATH, its site-packages last in PYTHONPATH; without copy_env too"),
    "virtualenv_py_ver": _acts("the version of virtualenv; without it, the daemon's or the only one there"),
    "singleton": _acts("at most one process: more are refused, in the file and by incr"),
    "autostart": _acts("start with the daemon"),
    "stop_signal": _acts("the polite request, name or number"),
    "graceful_timeout": _acts("then everything the worker started is killed with it"),
    "max_retry": _acts("failures to exec in a row, with growing pauses between them"),
    "close_child_stdout": _acts("/dev/null instead"),
    "close_child_stderr": _acts("/dev/null instead"),
    "close_child_stdin": Fate(Kind.NEVER, "a worker's standard input is /dev/null always", (*_YES, "")),
    "env": _never("circus itself does not read it here; write an [env:NAME] section"),
    "executable": _never("circus itself does not use it; the first word of cmd is the program"),
    "check_flapping": _never("circus itself no longer uses it; write flapping.active", (*_YES, "")),
    "warmup_delay": _acts("seconds between the starts of two workers"),
    "priority": _acts("the higher ones start first and stop last; within one, by name"),
    "max_age": _acts("seconds; another worker is ready before an old one goes"),
    "max_age_variance": _acts("up to so much later, by chance"),
    "respawn": _acts("False: `restart = never`; a worker that has ended rests as `done`"),
    "send_hup": _acts("reload sends SIGHUP, and begins no new life"),
    "stop_children": _acts("the stop signal goes to all that the worker started, not only to its children"),
    "on_demand": _not_yet("workers start at once, not at the first connection", _NO),
    "stdin_socket": _not_yet("a worker's standard input is /dev/null always"),
    "use_sockets": _not_yet("workers inherit no sockets", _NO),
    "use_papa": _never("papa is dead; circus itself dropped it", _NO),
}

HOOKS = _not_yet("no hooks are called")
HEALTH = _not_yet("a check needs circus-cg's own YAML, which `circus-cg import` makes of this file")

STREAM = {
    "class": _acts("FileStream and its kin: one plain file; StdoutStream: inherited"),
    "filename": _acts("the file that is appended to"),
    "max_bytes": _not_yet("the file is not rotated", ("", "0")),
    "backup_count": _not_yet("the file is not rotated", ("", "0")),
    "rotate_when": _not_yet("the file is not rotated"),
    "rotate_interval": _not_yet("the file is not rotated"),
    "utc": _not_yet("the file is not rotated", _NO),
    "time_format": _not_yet("lines get no time before them"),
    "color": _not_yet("lines are not coloured"),
    "refresh_time": _never("circus itself no longer uses it"),
}

FLAPPING = {
    "attempts": _acts("this many deaths of one worker within window"),
    "window": _acts("seconds"),
    "retry_in": _acts("seconds until that worker is tried again; its siblings go on"),
    "max_retry": _acts("then that worker fails for good; -1: never"),
    "active": _acts("false: no flapping rule"),
}

SOCKET_KEYS = (
    "host", "port", "path", "family", "type", "proto", "backlog", "interface", "umask", "replace", "so_reuseport",
    "blocking", "use_papa",
)  # fmt: skip
SOCKET = _not_yet("no sockets are opened")

FLAPPING_PLUGIN = "circus.plugins.flapping.Flapping"
WATCHDOG_PLUGIN = "circus.plugins.watchdog.WatchDog"
WATCHDOG = {
    "ip": "ip", "port": "port", "loop_rate": "loop_rate", "max_count": "max_count", "watchers_regex": "watchers_regex",
    "msg_regex": "msg_regex", "watchers_stop_signal": "stop_signal", "watchers_graceful_timeout": "graceful_timeout",
}  # fmt: skip # its options by their names here
_PLUGINS = "circus.plugins."
PLUGINS = {
    _PLUGINS + "resource_watcher.ResourceWatcher": "limits.memory_max and limits.cpu_max bind each worker",
    _PLUGINS + "statsd.StatsdEmitter": _STATISTICS,
    _PLUGINS + "statsd.FullStats": _STATISTICS,
    _PLUGINS + "command_reloader.CommandReloader": "a changed program is not noticed",
    _PLUGINS + "http_observer.HttpObserver": "a worker that does not answer is not noticed",
    _PLUGINS + "redis_observer.RedisObserver": "a worker that does not answer is not noticed",
}
OTHER_PLUGIN = "no plugins are run"


def watcher_fate(key: str) -> Fate | None:
    """None: no key of circus."""
    head, _, tail = key.partition(".")
    if head == "hooks" and tail:
        return HOOKS
    if head == "health":
        return HEALTH
    if head in ("stdout_stream", "stderr_stream"):
        return STREAM.get(tail)
    if head == "flapping":
        return FLAPPING.get(tail)
    return WATCHER.get(key)


def guess_circus(key: str) -> str | None:
    """The key of [circus] that was probably meant."""
    known = [*CIRCUS, *own(ArbiterSpec)]
    return _close(key, known) or schema.nearest(ArbiterSpec, key)


def guess_watcher(key: str) -> str | None:
    """The key of a watcher's section that was probably meant."""
    streams = [f"{stream}_stream.{one}" for stream in ("stdout", "stderr") for one in STREAM]
    flapping = [f"flapping.{one}" for one in FLAPPING]
    rlimits = [f"rlimit_{one}" for one in schema.RLIMITS]
    known = [*WATCHER, *streams, *flapping, *rlimits, *own(WatcherSpec)]
    return _close(key, known) or schema.nearest(WatcherSpec, key)


def guess_socket(key: str) -> str | None:
    return _close(key, list(SOCKET_KEYS))


def guess_section(title: str) -> str | None:
    head, colon, name = title.partition(":")
    kinds = ["circus", "env", "env:NAME", "watcher:NAME", "socket:NAME", "plugin:NAME"]
    found = _close(f"{head}:NAME" if colon else head, kinds)
    return found and found.replace("NAME", name or "NAME")


def own(cls: type[ArbiterSpec] | type[WatcherSpec]) -> list[str]:
    """The options of ours that may be written, dotted."""
    found = []
    for key, field in schema.fields(cls).items():
        if (inner := schema.struct_of(field.type)) is not None:
            found += [f"{key}.{one}" for one in schema.fields(inner)]
        elif key not in _OTHERWISE:
            found.append(key)
    return found


_OTHERWISE = ("watchers", "cmd", "env", "rlimits", "health")  # these are written circus's way, or not at all


def _close(key: str, known: list[str]) -> str | None:
    return next(iter(difflib.get_close_matches(key[:64], known, n=1, cutoff=0.8)), None)
