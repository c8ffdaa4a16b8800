"""Where circus.ini deliberately means something else here than to circus 0.19: shown by both loaders.

docs/howto/from-circus.md tells each.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from circus_cg.config import loader
from circus_cg.errors import ConfigError
from tests.unit.config import asking

PAGE = Path(__file__).parents[3] / "docs/howto/from-circus.md"


class Difference(NamedTuple):
    """`circus` and `ours` are asked of both loaders' answers for the same text; None: it is refused."""

    reason: str  # as docs/howto/from-circus.md has it
    text: str
    circus: Callable[[dict[str, Any]], Any]
    theirs: Any
    ours: Callable[[loader.Loaded], Any] | None
    mine: Any


def started(key: str) -> Callable[[dict[str, Any]], Any]:
    return lambda answer: answer["watchers"]["a"][key]


def their_env(name: str) -> Callable[[dict[str, Any]], Any]:
    return lambda answer: answer["watchers"]["a"]["env"].get(name)


def my_env(name: str) -> Callable[[loader.Loaded], Any]:
    return lambda loaded: loaded.spec.watchers[0].env.get(name)


def option(key: str) -> Callable[[dict[str, Any]], Any]:
    return lambda answer: answer["config"]["watchers"][0].get(key)


def my(key: str) -> Callable[[loader.Loaded], Any]:
    return lambda loaded: getattr(loaded.spec.watchers[0], key)


def loads(answer: dict[str, Any]) -> bool:
    return "error" not in answer


A = "[watcher:a]\ncmd = run\n"
DIFFERENCES = [
    Difference(
        "A `$` that names no variable stays as written in an environment; circus drops the name",
        A + "[env]\nSECRET = pa$NOSUCH\n",
        their_env("SECRET"), "pa",
        my_env("SECRET"), "pa$NOSUCH",
    ),
    Difference(
        "The environment that copy_env copies is not looked into; circus replaces every `$NAME` in it",
        A + "copy_env = True\n",
        their_env("PASSWORD"), "pa/home/jo",
        my_env("PASSWORD"), None,  # the daemon's own is copied as it is
    ),
    Difference(
        "What a reference stands for is not looked into either",
        A + "[env]\nCOPY = $(circus.env.PASSWORD)\n",
        their_env("COPY"), "pa/home/jo",
        my_env("COPY"), "pa$HOME",
    ),
    Difference(
        "References in an [env:NAME] section are replaced; circus leaves them as written",
        A + "[env:a]\nLIBS = $(circus.env.HOME)/lib\n",
        their_env("LIBS"), "$(circus.env.HOME)/lib",
        my_env("LIBS"), "/home/jo/lib",
    ),
    Difference(
        "A reference to a variable of an [env] section gives what that variable is, with its own `$NAME` replaced",
        "[watcher:a]\ncmd = $(circus.env.bin)\n[env]\nbin = $HOME/bin\n",
        started("argv"), ["$HOME/bin"],
        my("cmd"), ("/home/jo/bin",),
    ),
    Difference(
        "No variable `__name__` appears in the environment",
        A + "[env]\nX = y\n",
        their_env("__name__"), "env",
        my_env("__name__"), None,
    ),
    Difference(
        "Numbers may refer to variables of [env:NAME] sections; circus stops there",
        A + "numprocesses = $(circus.env.n)\n[env:a]\nn = 3\n",
        loads, False,
        my("numprocesses"), 3,
    ),
    Difference(
        "copy_path and virtualenv need no copy_env; without it circus refuses to start",
        A + "copy_path = True\n",
        option("copy_path"), True,
        my("copy_path"), True,
    ),
    Difference(
        "A signal and a resource limit may be references; circus stops there",
        A + "rlimit_core = $(circus.env.n)\n[env]\nn = 3\n",
        loads, False,
        lambda loaded: loaded.spec.watchers[0].rlimits["core"].soft, 3,
    ),
    Difference(
        "A command may refer to a key of your own, as circus's manual has it; circus leaves it as written",
        "[watcher:a]\ncmd = run $(circus.my_port)\nmy_port = 80\n",
        started("argv"), ["run", "$(circus.my_port)"],
        my("cmd"), ("run", "80"),
    ),
    Difference(
        "`$(circus.uid)` is what is written; circus makes it a number",
        "[watcher:a]\ncmd = run $(circus.uid)\nuid = root\n",
        started("argv"), ["run", "0"],
        my("cmd"), ("run", "root"),
    ),
    Difference(
        "Lines that continue a key set for the second time go with it; circus adds them to the first",
        A + "args = one\nargs = two\n  three\n",
        started("argv"), ["run", "one", "three"],
        my("cmd"), ("run", "one"),
    ),
    Difference(
        "An indented first key of a section is refused; circus takes the blanks for a part of its name",
        "[watcher:a]\n  cmd = run\n",
        option("cmd"), "",
        None, "circus.ini:2: 'cmd = run' is indented but continues nothing; remove the blanks",
    ),
    Difference(
        "A line with nothing before its `=` is refused; circus has a key without a name",
        A + "= 3\n",
        option(""), "3",
        None, "circus.ini:3: expected [section] or key = value, found '= 3'",
    ),
    Difference(
        "A watcher without cmd is refused; circus fails to start it, again and again",
        "[watcher:a]\nargs = x\n",
        option("cmd"), "",
        None, "circus.ini:1: missing key 'cmd' in [watcher:a]",
    ),
    Difference(
        "Numbers out of range are refused",
        A + "numprocesses = -2\n",
        option("numprocesses"), -2,
        None, "circus.ini:3: numprocesses in watcher 'a': -2 is out of range; expected 0 to 100000",
    ),
    Difference(
        "An unknown resource limit is refused; circus fails in every worker",
        A + "rlimit_files = 3\n",
        loads, True,
        None,
        "circus.ini:3: files in rlimits of watcher 'a': no such limit; expected one of as, core, cpu, data, fsize,"
        " memlock, msgqueue, nice, nofile, nproc, rss, rtprio, rttime, sigpending, stack",
    ),
    Difference(
        "A singleton of several processes is refused; circus goes on without that watcher",
        A + "singleton = True\nnumprocesses = 2\n",
        loads, True,
        None, "circus.ini:4: numprocesses in watcher 'a': 2 are too many for a singleton; expected 1",
    ),
    Difference(
        "Watchers whose names differ in case only are refused; circus runs both and can name one",
        A + "[watcher:A]\ncmd = other\n",
        lambda answer: sorted(answer["watchers"]), ["A", "a"],
        None,
        "circus.ini:3: [watcher:A] collides with [watcher:a] at circus.ini:1;"
        " choose names that differ in more than case",
    ),
    Difference(
        "A watcher's name is in lower case, with `_` for a blank: circus's events call it so",
        "[watcher:My Shop]\ncmd = run\n",
        option("name"), "My Shop",
        my("name"), "my_shop",
    ),
    Difference(
        "FileStream without a filename is inherited; circus makes a temporary file",
        A + "stdout_stream.class = FileStream\n",
        option("stdout_stream"), {"class": "FileStream"},
        my("stdout"), "inherit",
    ),
    Difference(
        "Without the flapping plugin a worker is tried for ever, but slower and slower; circus does not slow down",
        A,
        lambda answer: answer["config"]["plugins"], [],
        lambda loaded: loaded.spec.watchers[0].flapping.max_retry, -1,
    ),
    Difference(
        "`flapping.` keys act without the plugin, too",
        A + "flapping.attempts = 7\n",
        lambda answer: answer["config"]["plugins"], [],
        lambda loaded: loaded.spec.watchers[0].flapping.attempts, 7,
    ),
    Difference(
        "A number may have a unit",
        A + "graceful_timeout = 1m30s\n",
        loads, False,
        my("graceful_timeout"), 90.0,
    ),
]  # fmt: skip


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    directory = tmp_path_factory.mktemp("differences")
    paths = [directory / f"difference{number}.ini" for number in range(len(DIFFERENCES))]
    for path, difference in zip(paths, DIFFERENCES, strict=True):
        path.write_text(difference.text)
    return asking.circus(paths)


@pytest.mark.parametrize("number", range(len(DIFFERENCES)), ids=lambda number: DIFFERENCES[number].reason[:60])
def test_a_deliberate_difference_is_as_it_is_told(number: int, answers: list[dict[str, Any]]) -> None:
    difference = DIFFERENCES[number]
    assert difference.circus(answers[number]) == difference.theirs
    if difference.ours is None:
        with pytest.raises(ConfigError) as raised:
            asking.ours(difference.text)
        assert raised.value.problems == [difference.mine]
    else:
        assert difference.ours(asking.ours(difference.text)) == difference.mine


def test_the_manual_lists_every_deliberate_difference() -> None:
    page = " ".join(PAGE.read_text().split())
    assert [one.reason for one in DIFFERENCES if one.reason not in page] == []
