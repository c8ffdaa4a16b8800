"""Whatever a configuration says: it is read, or refused with ConfigError. No other exception, hang, process or file.

CIRCUS_CG_FUZZ=N tries N texts a test instead of a few.
"""

from __future__ import annotations

import functools
import os
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from circus_cg.config import circus_ini, export, loader, native
from circus_cg.config.document import Found, Text
from circus_cg.config.findings import Findings, told
from circus_cg.config.ini_surroundings import Surroundings
from circus_cg.errors import ConfigError
from circus_cg.spec import ArbiterSpec
from tests.unit.config import asking
from tests.unit.config.whole import WHOLE

EXAMPLES = int(os.environ.get("CIRCUS_CG_FUZZ", "100"))
SECONDS = 5.0  # a text of a few kB takes milliseconds; a slow host may take more

few = settings(max_examples=EXAMPLES, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
mutants = settings(few, max_examples=2 * EXAMPLES)

FORBIDDEN = ("os.fork", "os.forkpty", "os.exec", "os.posix_spawn", "os.system", "subprocess.Popen", "socket.connect")
_seen: list[str] | None = None


def _watch(event: str, arguments: tuple[Any, ...]) -> None:
    if _seen is not None and (event in FORBIDDEN or (event == "open" and _writes(arguments))):
        _seen.append(f"{event}{arguments}")


def _writes(arguments: tuple[Any, ...]) -> bool:
    flags = arguments[2] if len(arguments) > 2 and isinstance(arguments[2], int) else 0
    return bool(flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))


@pytest.fixture(scope="module", autouse=True)
def hook() -> None:
    sys.addaudithook(_watch)  # stays for the life of the interpreter, and is idle outside of `quietly`


def quietly(read: Any, text: str) -> None:
    """Fails for what a reader may not do."""
    global _seen  # noqa: PLW0603 - an audit hook can't be given anything else
    began, _seen = time.monotonic(), []
    try:
        read(text)
        assert _seen == []
    finally:
        _seen = None
    assert time.monotonic() - began < SECONDS


def find(pattern: str) -> Found:
    """Files for some patterns, what is wrong with others, or nothing."""
    return (Found((Text(pattern, pattern),)), Found(problems=("cannot read: no",)), Found())[len(pattern) % 3]


def ini(text: str) -> None:
    findings = Findings()
    try:
        spec = circus_ini.read(Text("x.ini", text), Surroundings(asking.ENVIRON, "/srv", 1024), findings, find)
    except ConfigError as refused:
        assert all(line.isprintable() for line in refused.problems)
        return
    assert all(line.isprintable() for line in told(findings.notices))
    same(spec)


def yaml(text: str) -> None:
    try:
        spec = native.read(text, "x.yaml")
    except ConfigError as refused:
        assert all(line.isprintable() for line in refused.problems)
        return
    same(spec)


def same(spec: ArbiterSpec) -> None:
    """What is accepted can be written, and means the same then.

    Not so a number of too many digits, and a reference to a variable that isn't there: YAML refuses it.
    """
    try:
        written = export.write(spec)
    except ValueError as refused:
        assert "more digits" in str(refused)
        return
    if "circus.env." not in written.lower():
        assert native.read(written, "written.yaml") == spec


# --- Texts made of what the grammar knows.

KEYS = st.sampled_from(
    [
        *(
            "cmd",
            "args",
            "numprocesses",
            "shell",
            "shell_args",
            "uid",
            "copy_env",
            "working_dir",
            "stop_signal",
            "hooks.x",
        ),
        *("rlimit_core", "rlimit_nofile", "rlimit_", "stdout_stream.class", "stdout_stream.filename", "stdout_stream"),
        *(
            "limits.memory_max",
            "limits.io_max",
            "limits.",
            "limits",
            "flapping.window",
            "flapping.active",
            "umask",
            "name",
        ),
        *(
            "singleton",
            "env_file",
            "virtualenv",
            "sched_policy",
            "cpu_affinity",
            "ambient_capabilities",
            "include",
            "include_dir",
            "use",
            "nice",
            "groups",
            "backoff.max",
            "health",
            "health.up.tcp",
            "autoscale.max",
            "udp_watchdog.port",
            "port",
            "",
            " ",
            "__name__",
            "[",
            "env",
        ),
    ]
)
VALUES = st.sampled_from(
    [
        *(
            "",
            "1",
            "-1",
            "0",
            "1e99",
            "9" * 30,
            "true",
            "maybe",
            "TERM",
            "SIGRTMIN+99",
            "64M",
            "max",
            "infinity",
            "1:2:3",
        ),
        *(
            "$(circus.env.home)",
            "((circus.wid))",
            "$(circus.args)",
            "$(circus.cmd)" * 3,
            "$PATH",
            "'",
            '"',
            "\\",
            "a b ; c",
        ),
        *(
            "8:0 rbps=1 wbps=",
            "circus.plugins.flapping.Flapping",
            "circus.plugins.watchdog.WatchDog",
            "FileStream",
            "FileStream.",
            "/a/../..//b",
            "\0",
            "é\u2028",
        ),
        *("%s%(x)s{0}", "*", "../../etc/*", "[0-9", "root", "\ud7ff", "-", "--", ",", ", ,"),
    ]
)
TITLES = st.sampled_from(
    ["circus", "watcher:a", "watcher:A b", "watcher:", "watcher:../x", "watcher:é", "env", "env:a,*", "env:[",
     "env:" + "*a" * 40, "socket:s", "plugin:p", "DEFAULT", "nonsense", ":", "a]b"]
)  # fmt: skip
LINES = st.one_of(
    st.builds("[{}]".format, TITLES),
    st.builds("{}{}{}".format, KEYS, st.sampled_from([" = ", ":", "="]), VALUES),
    st.builds("  {}".format, VALUES),
    st.text(max_size=20),
    st.sampled_from(["", "# x", "; x", "rem x", "[watcher:a]", "cmd = run"]),
)


@few
@given(st.lists(LINES, max_size=25).map("\n".join))
def test_any_circus_ini_is_read_or_refused(text: str) -> None:
    quietly(ini, text)


YAML_WORDS = st.sampled_from(
    ["watchers", "cmd", "env", "limits", "io_max", "rlimits", "a", "<<", "&x ", "*x", "!!python/object/apply:os.system",
     "[", "]", "{", "}", ": ", "- ", "\n", "\n  ", "\n    ", ", ", "|", ">", "'", '"', "null", "1", "64M", "# ", "---",
     "...", "\t", "é", "\0"]
)  # fmt: skip


@few
@given(st.lists(YAML_WORDS, max_size=40).map("".join))
def test_any_yaml_is_read_or_refused(text: str) -> None:
    quietly(yaml, text)


# --- Right files with something broken.


@functools.cache
def originals() -> tuple[str, ...]:
    """Our examples, and the corpus where it is there."""
    folders = [asking.EXAMPLES, *([asking.CORPUS] if asking.CORPUS.is_dir() else [])]
    return tuple(path.read_text() for folder in folders for path in sorted(folder.rglob("*.ini")))


PIECES = st.sampled_from(
    ["", " ", "\n", "\n[", "]", "=", ":", ";", "#", "'", '"', "\\", "$(circus.", "\0", "\t", "é", "9" * 25, "-"]
)
CHANGES = st.lists(st.tuples(st.floats(0, 1), st.integers(0, 12), PIECES), min_size=1, max_size=5)


def changed(text: str, changes: list[tuple[float, int, str]]) -> str:
    """At each place (a fraction of the text) so many characters give way to a piece."""
    for place, length, piece in changes:
        at = int(place * len(text))
        text = text[:at] + piece + text[at + length :]
    return text


@mutants
@given(st.integers(0, 10**6), CHANGES)
def test_a_broken_circus_ini_is_read_or_refused(which: int, changes: list[tuple[float, int, str]]) -> None:
    texts = originals()
    quietly(ini, changed(texts[which % len(texts)], changes))


@few
@given(CHANGES)
def test_a_broken_yaml_is_read_or_refused(changes: list[tuple[float, int, str]]) -> None:
    quietly(yaml, changed(WHOLE, changes))


@few
@given(st.data())
def test_two_halves_of_circus_inis_are_read_or_refused(data: st.DataObject) -> None:
    one, other = (data.draw(st.sampled_from(originals())) for _ in range(2))
    cut, resumed = (data.draw(st.floats(0, 1)) for _ in range(2))
    quietly(ini, one[: int(cut * len(one))] + other[int(resumed * len(other)) :])


# --- Through the loader, as bytes.


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    (tmp_path / "x.ini").touch(mode=0o600)
    (tmp_path / "x.yaml").touch(mode=0o600)
    yield tmp_path


@few
@given(
    st.sampled_from(["x.ini", "x.yaml"]),
    st.binary(max_size=60) | st.text(max_size=40).map(lambda text: text.encode("utf-16")),
)
def test_any_bytes_are_read_or_refused(folder: Path, name: str, raw: bytes) -> None:
    path = folder / name
    path.write_bytes(raw)

    def load(_: str) -> None:
        with suppress(ConfigError):
            loader.load_with_notices(path)

    quietly(load, "")


def test_the_watch_sees_what_it_should(tmp_path: Path) -> None:
    def misbehave(text: str) -> None:
        (tmp_path / text).write_text("")

    with pytest.raises(AssertionError):
        quietly(misbehave, "file")
    with pytest.raises(AssertionError):
        quietly(os.system, "true")
