"""Every key of circus has a fate, and an option of ours has only one home."""

from __future__ import annotations

import inspect

import pytest
from msgspec import convert, to_builtins

from circus_cg.config import ini_keys
from circus_cg.config.findings import Kind
from circus_cg.config.ini_values import option_at, value_of
from circus_cg.config.schema import fields
from circus_cg.spec import ArbiterSpec, ScalePolicy, WatcherSpec

LIBRARY_ONLY = {  # arguments of circus's classes that no circus.ini can give
    "name", "prereload_fn", "loop", "options", "env", "context", "proc_name", "plugins", "sockets", "watchers", "self",
}  # fmt: skip
SMALLEST: dict[type, dict[str, object]] = {WatcherSpec: {"name": "a", "cmd": ["a"]}, ScalePolicy: {"max": 1}}
ELSEWHERE = {
    "rlimits": "rlimit_",
    "stdout_stream": "stdout_stream.",
    "stderr_stream": "stderr_stream.",
    "hooks": "hooks.",
}


def arguments(cls: type) -> set[str]:
    return set(inspect.signature(cls).parameters) - LIBRARY_ONLY - set(ELSEWHERE)


def test_every_argument_of_circus_s_classes_has_a_fate() -> None:
    from circus.arbiter import Arbiter  # noqa: PLC0415 - a second of imports
    from circus.watcher import Watcher  # noqa: PLC0415

    assert {key for key in arguments(Watcher) if ini_keys.watcher_fate(key) is None} == set()
    assert arguments(Arbiter) - set(ini_keys.CIRCUS) == set()


def test_what_acts_not_yet_or_never_is_no_option_of_ours() -> None:
    asleep = {key for key, fate in ini_keys.WATCHER.items() if fate.kind is not None}
    assert [key for key in asleep if option_at(key)] == []
    assert {key for key, fate in ini_keys.CIRCUS.items() if fate.kind is not None} & set(fields(ArbiterSpec)) == set()


@pytest.mark.parametrize("spec", [ArbiterSpec, WatcherSpec])
def test_an_option_of_ours_is_read_as_what_it_is_or_refused(spec: type[ArbiterSpec] | type[WatcherSpec]) -> None:
    for key in ini_keys.own(spec):
        option = option_at(key, spec)
        assert option is not None, key
        cls, name = option
        for text in ("", "1", "anything", "a b, c", "TERM 10s", "max"):
            try:
                value = value_of(cls, name, text)
            except ValueError:
                continue
            if value is not None:
                convert({**SMALLEST.get(cls, {}), name: to_builtins(value)}, cls)


def test_what_acts_by_the_option_table_is_one() -> None:
    by_hand = {"cmd", "args", "shell", "shell_args", "close_child_stdout", "close_child_stderr", "respawn"}
    awake = {key for key, fate in ini_keys.WATCHER.items() if fate.kind is None}
    assert {key for key in awake - by_hand if not option_at(key)} == set()


@pytest.mark.parametrize(
    ("key", "guess"),
    [
        ("numproceses", "numprocesses"),
        ("numprocs", "numprocesses"),
        ("coppy_env", "copy_env"),
        ("stop_chidlren", "stop_children"),
        ("stdout_stream.file_name", "stdout_stream.filename"),
        ("flapping.attempt", "flapping.attempts"),
        ("limits.memory_mx", "limits.memory_max"),
        ("memory_limit", "limits.memory_max"),
        ("rlimit_nofiles", "rlimit_nofile"),
        ("user", "uid"),
        ("zzz", None),
    ],
)
def test_a_watcher_s_key_is_guessed(key: str, guess: str | None) -> None:
    assert ini_keys.guess_watcher(key) == guess


def test_other_keys_and_sections_are_guessed() -> None:
    assert ini_keys.guess_circus("end_point") == "endpoint"
    assert ini_keys.guess_circus("cgroup-root") == "cgroup_root"
    assert ini_keys.guess_socket("reuseport") == "so_reuseport"
    assert ini_keys.guess_section("watchers:web") == "watcher:web"
    assert ini_keys.guess_section("circuss") == "circus"
    assert ini_keys.guess_section("something") is None


def test_reasons_are_one_line() -> None:
    tables = (ini_keys.CIRCUS, ini_keys.WATCHER, ini_keys.STREAM, ini_keys.FLAPPING)
    fates = [*(fate for table in tables for fate in table.values()), ini_keys.SOCKET, ini_keys.HOOKS, ini_keys.HEALTH]
    assert all(fate.why and "\n" not in fate.why and len(fate.why) < 120 for fate in fates)
    assert {fate.kind for fate in fates} == {None, Kind.NOT_YET, Kind.NEVER}
