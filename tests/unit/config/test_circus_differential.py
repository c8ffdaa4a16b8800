"""circus.ini means here what it means to circus 0.19: compared key by key with circus's own loader.

What deliberately differs stands in test_circus_differences.
"""

from __future__ import annotations

import os
import resource
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from circus_cg.config import ini_keys, loader
from circus_cg.config.findings import Notice
from circus_cg.spec import WatcherSpec
from tests.unit.config import asking

needs_corpus = [
    pytest.mark.host_may_lack("the corpus is no part of the project"),
    pytest.mark.skipif(not asking.CORPUS.is_dir(), reason="no ../shared/corpus beside the checkout"),
]
FOLDERS = [pytest.param(asking.EXAMPLES, id="examples"), pytest.param(asking.CORPUS, id="corpus", marks=needs_corpus)]


class Pair(NamedTuple):
    """One file as both read it."""

    file: str
    circus: dict[str, Any]
    loaded: loader.Loaded


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("circus")


@pytest.fixture(params=FOLDERS, scope="module")
def pairs(request: pytest.FixtureRequest, directory: Path) -> list[Pair]:
    """All files that circus loads; ours are read by the real loader, from files."""
    folder = asking.trusted(request.param, directory / request.param.name)
    paths = sorted(folder.glob("*.ini"))
    answers = asking.circus(paths)
    before = os.getcwd()
    os.chdir(asking.DIRECTORY)
    try:
        loaded = [loader.load_ini(path, asking.ENVIRON) for path in paths]
    finally:
        os.chdir(before)
    assert [answer.get("error") for answer in answers] == [None] * len(paths)
    return [Pair(path.name, answer, one) for path, answer, one in zip(paths, answers, loaded, strict=True)]


def sides(pairs: list[Pair]) -> Iterator[tuple[str, dict[str, Any], dict[str, Any], WatcherSpec, tuple[Notice, ...]]]:
    """Each watcher: its name, circus's configuration of it, what circus would start, our spec, our notices."""
    for pair in pairs:
        notices = pair.loaded.notices
        for its in pair.circus["config"]["watchers"]:
            spec = pair.loaded.spec.watcher(its["name"].lower())
            assert spec is not None, (pair.file, its["name"])
            mine = tuple(one for one in notices if one.watcher == spec.name)
            yield f"{pair.file} {spec.name}", its, pair.circus["watchers"][its["name"]], spec, mine


def test_the_same_watchers_in_the_same_order(pairs: list[Pair]) -> None:
    for pair in pairs:
        names = [its["name"].lower() for its in pair.circus["config"]["watchers"]]
        assert [one.name for one in pair.loaded.spec.watchers] == names, pair.file


def test_the_same_command_is_executed(pairs: list[Pair]) -> None:
    for where, its, started, spec, _ in sides(pairs):
        argv = ["/bin/sh", "-c", *started["argv"]] if its["shell"] else started["argv"]  # as subprocess does
        assert list(spec.cmd) == argv, where
        assert spec.working_dir == os.path.normpath(started["working_dir"]), where


def test_the_same_environment(pairs: list[Pair]) -> None:
    for where, _, started, spec, _ in sides(pairs):
        its = {name: value for name, value in started["env"].items() if name != "__name__"}
        mine = {**asking.ENVIRON, **spec.env} if spec.copy_env else spec.env
        mangled = {"PASSWORD": "pa/home/jo"} if spec.copy_env else {}
        assert {**mine, **mangled} == its, where


def stream(conf: dict[str, Any], closed: bool) -> str:
    if closed:
        return "null"
    file = "filename" in conf and conf.get("class", "FileStream").rpartition(".")[2].endswith("FileStream")
    return os.path.join(asking.DIRECTORY, conf["filename"]) if file else "inherit"


def identity(value: Any) -> str | int | None:
    return int(value) if value and value.isdigit() else value


def limits(its: dict[str, int]) -> dict[str, tuple[int | None, int | None]]:
    return {name.lower(): (None if value == -1 else value,) * 2 for name, value in its.items()}


SAME: dict[str, Callable[[dict[str, Any], WatcherSpec], tuple[Any, Any]]] = {
    "numprocesses": lambda its, ours: (its["numprocesses"], ours.numprocesses),
    "uid": lambda its, ours: (identity(its["uid"]), ours.uid),
    "gid": lambda its, ours: (identity(its["gid"]), ours.gid),
    "copy_env": lambda its, ours: (its["copy_env"], ours.copy_env),
    "copy_path": lambda its, ours: (its["copy_path"], ours.copy_path),
    "virtualenv": lambda its, ours: (its["virtualenv"], ours.virtualenv),
    "virtualenv_py_ver": lambda its, ours: (its["virtualenv_py_ver"], ours.virtualenv_py_ver),
    "singleton": lambda its, ours: (its["singleton"], ours.singleton),
    "autostart": lambda its, ours: (its["autostart"], ours.autostart),
    "stop_signal": lambda its, ours: (its["stop_signal"], ours.stop_signal),
    "graceful_timeout": lambda its, ours: (float(its["graceful_timeout"]), ours.graceful_timeout),
    "priority": lambda its, ours: (its["priority"], ours.priority),
    "warmup_delay": lambda its, ours: (float(its["warmup_delay"]), ours.warmup_delay),
    "send_hup": lambda its, ours: (its["send_hup"], ours.send_hup),
    "stop_children": lambda its, ours: (its["stop_children"], ours.stop_children),
    "respawn": lambda its, ours: (its["respawn"], ours.restart == "always"),
    "max_age": lambda its, ours: (float(its["max_age"]), ours.max_age),
    "max_age_variance": lambda its, ours: (float(its["max_age_variance"]), ours.max_age_variance),
    "max_retry": lambda its, ours: (its["max_retry"], ours.max_retry),
    "rlimits": lambda its, ours: (
        limits(its["rlimits"]),
        {name: (one.soft, one.hard) for name, one in ours.rlimits.items()},
    ),
    "stdout_stream": lambda its, ours: (
        stream(its["stdout_stream"], its.get("close_child_stdout", False)),
        ours.stdout,
    ),
    "stderr_stream": lambda its, ours: (
        stream(its["stderr_stream"], its.get("close_child_stderr", False)),
        ours.stderr,
    ),
    "close_child_stdout": lambda its, ours: (its["close_child_stdout"], ours.stdout == "null"),
    "close_child_stderr": lambda its, ours: (its["close_child_stderr"], ours.stderr == "null"),
    "flapping.attempts": lambda its, ours: (int(its["flapping.attempts"]), ours.flapping.attempts),
    "flapping.window": lambda its, ours: (float(its["flapping.window"]), ours.flapping.window),
    "flapping.retry_in": lambda its, ours: (float(its["flapping.retry_in"]), ours.flapping.retry_in),
    "flapping.max_retry": lambda its, ours: (int(its["flapping.max_retry"]), ours.flapping.max_retry),
    "flapping.active": lambda its, ours: (its["flapping.active"].lower() == "true", ours.flapping.attempts > 0),
}
# Compared by what is executed.
EXECUTED = {"name", "cmd", "args", "shell", "shell_args", "working_dir", "env", "__name__"}
# What circus calls a default, by key; another value must be told.
ASKS_NOTHING: dict[str, Any] = {
    "executable": None, "on_demand": False, "use_sockets": False, "hooks": {},
}  # fmt: skip


def test_each_key_means_the_same_or_is_told(pairs: list[Pair]) -> None:
    for where, its, _, spec, notices in sides(pairs):
        for key, value in its.items():
            if key in SAME:
                theirs, mine = SAME[key](its, spec)
                assert mine == theirs, (where, key)
            elif key not in EXECUTED and (key not in ASKS_NOTHING or value != ASKS_NOTHING[key]):
                assert is_told(key, notices), (where, key)


def is_told(key: str, notices: tuple[Notice, ...]) -> bool:
    return any(one.text.startswith((f"{key}: ", f"{key}.")) or f"unknown key '{key}'" in one.text for one in notices)


def test_each_key_of_the_daemon_acts_or_is_told(pairs: list[Pair]) -> None:
    for pair in pairs:
        defaults = asking_defaults()
        for key, value in pair.circus["config"].items():
            if key in ("watchers", "plugins", "sockets") or value == defaults[key]:
                continue
            if key == "umask":
                assert {one.umask for one in pair.loaded.spec.watchers} == {value}, pair.file
            elif key == "warmup_delay":
                assert pair.loaded.spec.warmup_delay == value, pair.file
            elif key == "pidfile":
                assert pair.loaded.spec.pidfile == os.path.join(asking.DIRECTORY, value), pair.file
            elif key == "loglevel":
                assert pair.loaded.spec.loglevel == value.lower(), pair.file
            elif key == "logoutput" and value not in ("-", "stdout"):
                assert pair.loaded.spec.logoutput == os.path.join(asking.DIRECTORY, value), pair.file
            else:
                assert is_told(key, pair.loaded.notices) or derived(key, pair), (pair.file, key)


def derived(key: str, pair: Pair) -> bool:
    """circus sets statsd itself if there is a stats_endpoint."""
    return key == "statsd" and is_told("stats_endpoint", pair.loaded.notices)


def asking_defaults() -> dict[str, Any]:
    return {
        "check_delay": 5.0, "endpoint": "tcp://127.0.0.1:5555", "endpoint_owner": None,
        "pubsub_endpoint": "tcp://127.0.0.1:5556", "multicast_endpoint": "udp://237.219.251.97:12027",
        "stats_endpoint": "tcp://127.0.0.1:5557", "statsd": False, "umask": None, "warmup_delay": 0, "httpd": False,
        "httpd_host": "localhost", "httpd_port": 8080, "debug": False, "debug_gc": False, "pidfile": None,
        "loglevel": None, "logoutput": None, "loggerconfig": None, "fqdn_prefix": None,
    }  # fmt: skip


def test_each_socket_and_plugin_acts_or_is_told(pairs: list[Pair]) -> None:
    for pair in pairs:
        told = "\n".join(one.text for one in pair.loaded.notices).lower()
        for socket in pair.circus["config"]["sockets"]:
            assert f"[socket:{socket['name']}]: not yet" in told, pair.file
        for plugin in pair.circus["config"]["plugins"]:
            if plugin["use"] == ini_keys.WATCHDOG_PLUGIN:
                ours = pair.loaded.spec.udp_watchdog
                assert ours is not None, pair.file
                assert ours.loop_rate == float(plugin.get("loop_rate", 60)), pair.file
            elif plugin["use"] != ini_keys.FLAPPING_PLUGIN:
                assert f"[{plugin['name']}]: not yet" in told, pair.file


def test_an_open_limit_on_files_is_the_daemon_s_own(tmp_path: Path) -> None:
    """circus does so in the worker, which its configuration does not show."""
    path = tmp_path / "circus.ini"
    path.touch(0o600)
    path.write_text("[watcher:a]\ncmd = a\nrlimit_nofile =\n")
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    (spec,) = loader.load(path).watchers
    assert (spec.rlimits["nofile"].soft, spec.rlimits["nofile"].hard) == (hard, hard)
