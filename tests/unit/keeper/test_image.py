"""A daemon's code as it is sealed: what Python would import at that moment, whatever was compiled before."""

from __future__ import annotations

import marshal
import os
import py_compile
from importlib.util import cache_from_source
from pathlib import Path

import pytest

from circus_cg.keeper import image

OLD, NEW = "ANSWER = 41\n", "ANSWER = 42\n"  # of one size


@pytest.fixture
def source(tmp_path: Path) -> Path:
    source = tmp_path / "one.py"
    source.write_text(OLD)
    return source


def answer(source: Path) -> int:
    found: dict[str, int] = {}
    exec(marshal.loads(image._compiled("package/one", str(source))), found)
    return found["ANSWER"]


def test_what_was_never_compiled_is_compiled(source: Path) -> None:
    assert answer(source) == 41


@pytest.mark.parametrize("mode", list(py_compile.PycInvalidationMode))
def test_what_was_compiled_of_this_source_is_sealed_as_it_is(
    source: Path, mode: py_compile.PycInvalidationMode
) -> None:
    py_compile.compile(str(source), invalidation_mode=mode)
    assert answer(source) == 41


def test_what_was_compiled_of_another_source_is_not_believed(source: Path) -> None:
    py_compile.compile(str(source))
    stamp = source.stat().st_mtime
    source.write_text(NEW)
    os.utime(source, (stamp + 5, stamp + 5))
    assert answer(source) == 42


def test_what_another_python_compiled_or_only_half_is_not_believed(source: Path) -> None:
    py_compile.compile(str(source))
    cache = Path(cache_from_source(str(source)))
    whole = cache.read_bytes()
    for broken in (b"\0\0\r\n" + whole[4:], whole[:10], b""):
        cache.write_bytes(broken)
        assert answer(source) == 41
