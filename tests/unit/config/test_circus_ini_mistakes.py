"""What is wrong with a circus.ini is told whole, with its line, and without secrets; what is too large is refused."""

from __future__ import annotations

import time

import pytest

from circus_cg.config import circus_ini, ini_surroundings
from circus_cg.config.findings import MAX_GUESSES, MAX_NOTICES, told
from circus_cg.errors import ConfigError
from tests.unit.config.test_circus_ini import problem, problems, read


@pytest.mark.parametrize(
    ("options", "where", "said"),
    [
        (
            "stdout_stream.class = FileStrem\n",
            "3: stdout_stream.class in [watcher:web]",
            "'FileStrem' is no class of circus; expected FileStream, WatchedFileStream, TimedRotatingFileStream,"
            " StdoutStream, FancyStdoutStream, QueueStream or a.module.Class",
        ),
        (
            "numprocesses = many\n",
            "3: numprocesses in [watcher:web]",
            "'many' is wrong; expected a whole number",
        ),
        (
            "copy_env = maybe\n",
            "3: copy_env in [watcher:web]",
            "'maybe' is wrong; expected true or false",
        ),
        (
            "shell = maybe\n",
            "3: shell in [watcher:web]",
            "'maybe' is wrong; expected true or false",
        ),
        (
            "args = 'open\n",
            "2: cmd in [watcher:web]",
            "\"'open\" can't be split into words (No closing quotation); close the quotes, or write a list",
        ),
        (
            "rlimit_core = big\n",
            "3: rlimit_core in [watcher:web]",
            "'big' is wrong; expected infinity, a number, or a size such as 8M",
        ),
        (
            "rlimit_x = 1\n",
            "3: x in rlimits of watcher 'web'",
            "no such limit; expected one of as, core, cpu, data, fsize, memlock, msgqueue, nice, nofile, "
            "nproc, rss, rtprio, rttime, sigpending, stack",
        ),
        (
            "stop_signal = TERMM\n",
            "3: stop_signal in [watcher:web]",
            "'TERMM' is wrong; expected a signal such as TERM, SIGRTMIN+2 or a number",
        ),
        (
            "limits.memory_max = 64X\n",
            "3: limits.memory_max in [watcher:web]",
            "'64X' is wrong; expected bytes such as 512M, 1.5G or a number",
        ),
        (
            "limits.io_max = 8:0 bps=1\n",
            "3: limits.io_max in [watcher:web]",
            "'bps=1' is wrong; expected rbps=, wbps=, riops= or wiops= and a number",
        ),
        (
            "limits.io_max = nodevice rbps=1\n",
            "3: nodevice in limits.io_max of watcher 'web'",
            "no device; expected MAJOR:MINOR or a path such as /dev/sda",
        ),
        (
            "flapping.attempts = x\n",
            "3: flapping.attempts in [watcher:web]",
            "'x' is wrong; expected a whole number",
        ),
        (
            "backoff.max = 1ms\n",
            "3: max in backoff of watcher 'web'",
            "0.001 s is below initial (0.5 s); expected at least that",
        ),
        (
            "numprocesses = $(circus.env.TOKEN)\n",
            "3: numprocesses in [watcher:web]",
            "what '$(circus.env.TOKEN)' stands for is wrong; expected a whole number",
        ),
        (
            "nice = 50\n",
            "3: nice in watcher 'web'",
            "50 is out of range; expected -20 to 19",
        ),
        (
            "umask = 9\n",
            "3: umask in [watcher:web]",
            "'9' is wrong; expected an octal mask from 000 to 777 such as 022",
        ),
        (
            "working_dir = $(circus.env.BROKEN)\n",
            "3: working_dir in [watcher:web]",
            "what '$(circus.env.BROKEN)' stands for is no UTF-8; correct the variable",
        ),
    ],
)
def test_what_is_wrong_is_told_with_its_line(options: str, where: str, said: str) -> None:
    assert problem(options) == f"{where}: {said}"


def test_all_mistakes_are_told_at_once() -> None:
    text = "[circus]\non_missing = maybe\n[watcher:a]\nnumprocesses = x\n[watcher:-b]\ncmd = b\n[env]\nA=B = 1\n= x\n"
    assert [line.partition(";")[0] for line in problems(text)] == [
        "2: on_missing: 'maybe' is wrong",
        "3: missing key 'cmd' in [watcher:a]",
        "4: numprocesses in [watcher:a]: 'x' is wrong",
        "5: watcher '-b': '-b' can't be a name",
        "9: expected [section] or key = value, found '= x'",
    ]


def test_a_secret_does_not_appear_in_an_error() -> None:
    options = "numprocesses = $(circus.env.TOKEN)\nargs = $(circus.env.TOKEN) '\n"
    said = problems(f"[circus]\numask = $(circus.env.TOKEN)\n[watcher:a]\ncmd = a\n{options}")
    assert len(said) == 3 and not any("s3cret" in line for line in said)


def test_a_wrong_variable_is_told_where_it_is_written() -> None:
    text = "[watcher:a]\ncmd = a\n[env]\nX = y\n[env:a]\n\nY = a\0b\n"
    assert problems(text) == ["7: Y in env of watcher 'a': a NUL can't be part of it; remove it"]


@pytest.mark.parametrize(
    "text",
    [
        "[env]\nA = " + "x" * 100_000 + "\n[watcher:a]\ncmd = a " + "$(circus.env.A)" * 20 + "\n",  # one long value
        "[env]\nA = "
        + "x" * 1000
        + "\nB = "
        + "$(circus.env.C)" * 100_000
        + "\n[env:x]\nC = "
        + "$PATH" * 500_000
        + "\n",
    ],
)
def test_a_value_that_grows_too_long_is_refused(text: str) -> None:
    assert any("over 1048576 characters" in line or "too many" in line for line in problems(text))


def test_a_file_that_grows_too_large_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(circus_ini, "MAX_NODES", 1000)
    many = "".join(f"[watcher:w{number}]\ncmd = a\n" for number in range(60))
    with pytest.raises(ConfigError, match="too large"):  # each watcher has its own copy
        read("[env]\n" + "".join(f"V{number} = 1\n" for number in range(20)) + many)
    with pytest.raises(ConfigError, match="too large"):  # each pattern is tried on each watcher
        read(many + "[env:" + ",".join(f"x{number}" for number in range(20)) + "]\nA = 1\n")
    monkeypatch.setattr(ini_surroundings, "MAX_TEXT", 1000)
    with pytest.raises(ConfigError, match="too large"):
        read(
            "[env]\nA = "
            + "x" * 100
            + "\n[watcher:a]\ncmd = a\n"
            + "".join(f"k{n} = $(circus.env.A)\n" for n in range(20))
        )


def test_a_text_made_to_be_slow_is_not() -> None:
    began = time.monotonic()
    read("[watcher:" + "a" * 60 + "]\ncmd = a\n[env:" + "*a" * 5000 + "b]\nA = 1\n")
    found = read(
        "[watcher:a]\ncmd = a\n" + "".join(f"graceful_timeouts{number} = 1\n" for number in range(20_000))
    ).notices
    assert time.monotonic() - began < 5
    assert len(told(found)) == MAX_NOTICES + 1
    assert sum("did you mean" in one.text for one in found) == MAX_GUESSES


def test_an_include_that_grows_too_long_is_refused() -> None:
    text = "[DEFAULT]\n[circus]\ninclude = " + "$(circus.env.PATH)" * 100 + "x" * (1 << 20) + "\n"
    assert problems(text) == ["3: include: over 1048576 characters after its references are replaced; shorten it"]


def test_more_includes_than_anybody_means_are_refused() -> None:
    said = problems("[circus]\ninclude = " + "x.ini " * 100_000 + "\n")
    assert said[-1] == "2: over 1000 names and patterns to include; use patterns for several files"
    assert len(said) == 2  # the other: there are no files here
