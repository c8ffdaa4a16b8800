"""The library's words: what a program may write becomes specs, or one clear error; nothing runs here."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, get_type_hints

import pytest

import circus_cg
from circus_cg import Backoff, ConfigError, Event, HostError, Limits, WatcherSpec, get_arbiter, get_trainer
from circus_cg.arbiter.journal import Record
from circus_cg.library.events import QUEUED, Listeners
from circus_cg.library.making import WatcherOptions, made
from circus_cg.spec import IoMax
from circus_cg.spec import Limits as LimitsSpec


def test_every_option_of_a_watcher_is_an_argument() -> None:
    named = {"name", "cmd", "numprocesses", "limits", "watcher_limits"}
    assert set(get_type_hints(WatcherOptions)) | named == set(WatcherSpec.__struct_fields__)


def test_texts_with_units_become_numbers() -> None:
    limits = Limits(memory_max="64M", cpu_max="150%", pids_max=5, io_max={"8:0": {"rbps": "1M"}})
    assert (limits.memory_max, limits.cpu_max, limits.pids_max) == (64 << 20, 1.5, 5)
    assert limits.io_max == (IoMax(device="8:0", rbps=1 << 20),)
    watcher = made(
        "w", cmd="sleep 1", limits=limits, graceful_timeout="1m", stop_signal="INT", backoff=Backoff(max=5.0)
    )
    assert watcher.cmd == ("sleep", "1")
    assert type(watcher.limits) is LimitsSpec and watcher.limits.memory_max == 64 << 20
    assert (watcher.graceful_timeout, watcher.stop_signal, watcher.backoff.max) == (60.0, 2, 5.0)
    assert made("w", cmd="a", umask="077").umask == made("w", cmd="a", umask=0o77).umask == 0o77


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"limits": {"memory_max": "64Q"}}, "limits.memory_max: '64Q' is wrong"),
        ({"limits": {"memory_maxx": 1}}, "did you mean 'limits.memory_max'"),
        ({"numprocesses": -1}, "numprocesses.*out of range"),
        ({"graceful_timeout": "soon"}, "graceful_timeout: 'soon' is wrong"),
        ({"stdout": "relative/path"}, "expected inherit, null or an absolute path"),
        ({"cmd": "unclosed 'quote"}, "close the quotes"),
        ({"cmd": ["sleep", 1]}, "cmd: expected a text, or a list of words"),
        ({"cmd": 5}, "cmd: expected a text, or a list of words"),
        ({"cmd": b"sleep 1"}, "cmd: expected a text, or a list of words"),
        ({"limits": "64M"}, "limits: expected Limits or a mapping, found str"),
        ({"watcher_limits": {"memory_max": "64Q"}}, "watcher_limits.memory_max: '64Q' is wrong"),
        ({"autoscale": {"max": "x"}}, "autoscale.max: 'x' is wrong; expected a whole number"),
    ],
)
def test_what_makes_no_sense_is_refused_by_name(options: dict[str, object], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        made("w", **{"cmd": "true", **options})  # type: ignore[arg-type]


def test_words_of_a_command_may_be_paths_and_bytes() -> None:
    assert made("w", cmd=[b"/bin/echo", Path("a"), "b"]).cmd == ("/bin/echo", "a", "b")  # type: ignore[list-item]


def test_workers_begin_where_the_program_was_when_it_made_their_trainer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    made = [
        get_trainer("python3 worker.py"),
        get_arbiter([{"name": "a", "cmd": "./a"}, WatcherSpec(name="b", cmd=("./b",))]),
        get_trainer("python3 worker.py", working_dir="/srv"),
    ]
    monkeypatch.chdir("/")
    assert [one.working_dir for embedded in made for one in embedded._spec.watchers] == [*[str(tmp_path)] * 3, "/srv"]


@pytest.mark.parametrize(("name", "why"), [(b"removed", "No such file or directory"), (b"\xe9", "not UTF-8")])
def test_a_current_directory_that_is_of_no_use_is_told_unless_another_is_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: bytes, why: str
) -> None:
    here = tmp_path / os.fsdecode(name)
    here.mkdir()
    monkeypatch.chdir(here)
    if name == b"removed":
        here.rmdir()
    with pytest.raises(HostError, match=rf"^cannot use the current directory.*: {why}; go to another, or give"):
        get_trainer("true")
    get_trainer("true", working_dir="/srv")


def test_two_watchers_of_one_name_are_refused() -> None:
    with pytest.raises(ConfigError, match="collides"):
        get_arbiter([{"name": "a", "cmd": "true"}, {"name": "A", "cmd": "true"}])


def test_every_public_name_is_there_and_the_package_itself_imports_nothing() -> None:
    for name in circus_cg.__all__:
        assert getattr(circus_cg, name) is not None
    assert set(circus_cg.__all__) <= set(dir(circus_cg))
    with pytest.raises(AttributeError, match="no_such_name"):
        circus_cg.no_such_name  # noqa: B018
    code = "import sys; before = set(sys.modules); import circus_cg; print(*(set(sys.modules) - before))"
    loaded = subprocess.run([sys.executable, "-S", "-c", code], capture_output=True, text=True, check=True).stdout
    assert loaded.split() == ["circus_cg"]


def test_a_slow_reader_of_events_loses_the_oldest_and_is_told_how_many() -> None:
    async def story() -> tuple[int, int]:
        listeners = Listeners()
        events = listeners.stream()
        for number in range(QUEUED + 7):
            listeners.tell(Record(number, 0, 0.0, "w", 1, "ready", ""))
        listeners.end()
        seen = [event async for event in events]
        return len(seen), seen[0].missed

    assert asyncio.run(story()) == (QUEUED, 7)


class CountingLoop(asyncio.SelectorEventLoop):
    woken = 0

    def call_soon_threadsafe(self, *args: Any, **named: Any) -> asyncio.Handle:  # type: ignore[override]
        self.woken += 1
        return super().call_soon_threadsafe(*args, **named)


def test_an_iterator_that_nobody_holds_any_more_is_told_nothing_even_if_it_was_never_asked() -> None:
    async def story(loop: CountingLoop) -> int:
        listeners = Listeners()
        never, begun = listeners.stream(), listeners.stream()
        listeners.tell(Record(1, 0, 0.0, "w", 1, "ready", ""))
        async for event in begun:
            assert event.id == 1
            break
        await asyncio.sleep(0)  # its wake-up is done
        del never, begun
        before = loop.woken
        listeners.tell(Record(2, 0, 0.0, "w", 1, "ready", ""))
        return loop.woken - before

    with asyncio.Runner(loop_factory=CountingLoop) as runner:
        loop = runner.get_loop()
        assert isinstance(loop, CountingLoop)
        assert runner.run(story(loop)) == 0


def test_a_loop_that_is_busy_elsewhere_is_woken_once_for_all_events() -> None:
    async def story(loop: CountingLoop) -> tuple[int, int]:
        listeners = Listeners()
        events = listeners.stream()
        before = loop.woken
        for number in range(1000):
            listeners.tell(Record(number, 0, 0.0, "w", 1, "ready", ""))
        woken = loop.woken - before
        listeners.end()
        return woken, len([event async for event in events])

    with asyncio.Runner(loop_factory=CountingLoop) as runner:
        loop = runner.get_loop()
        assert isinstance(loop, CountingLoop)
        assert runner.run(story(loop)) == (1, 1000)


@pytest.mark.parametrize("error", [RuntimeError, SystemExit, KeyboardInterrupt, asyncio.CancelledError])
def test_whatever_a_callback_raises_the_others_are_told(error: type[BaseException]) -> None:
    told: list[int] = []

    def fails(_: Event) -> None:
        raise error

    listeners = Listeners()
    listeners.add(fails)
    listeners.add(lambda event: told.append(event.id))
    listeners.tell(Record(1, 0, 0.0, "w", 1, "ready", ""))
    assert told == [1]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"ready": "notify"}, "w.ready: a library's workers have no notify socket; use 'fd'"),
        ({"watchdog": {"timeout": 5}}, "w.watchdog: a library's workers have no notify socket"),
        ({"health": {"c": {"exec": "true"}}}, "w.health.c: a library runs no commands beside its workers"),
    ],
)
def test_what_only_a_daemon_can_do_is_refused(options: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        get_trainer("true", name="w", **options)


def test_a_library_s_workers_may_tell_that_they_are_ready_and_be_asked_over_the_network() -> None:
    get_trainer("true", ready="fd", health={"c": {"tcp": 80}})
