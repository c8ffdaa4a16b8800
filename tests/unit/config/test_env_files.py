"""Files of variables: read as written, trusted as the configuration is, and never quoted in a message."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from circus_cg.config import env_files
from circus_cg.errors import ConfigError

SECRET = "pa$wo rd#1"


def written(path: Path, text: str, mode: int = 0o600) -> str:
    path.touch(mode=mode)
    path.write_text(text)
    path.chmod(mode)
    return str(path)


def problems(*paths: str) -> list[str]:
    with pytest.raises(ConfigError) as raised:
        env_files.variables(paths)
    return raised.value.problems


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("A=1", {"A": "1"}),
        ("A=", {"A": ""}),
        ("A = 1 ", {"A": "1"}),
        ("export A=1", {"A": "1"}),
        ("export=1", {"export": "1"}),
        (f"A={SECRET}", {"A": SECRET}),
        ("A=$HOME ${X} $(date) `id` $(circus.wid)", {"A": "$HOME ${X} $(date) `id` $(circus.wid)"}),
        ("A=b=c", {"A": "b=c"}),
        ("A='  x '", {"A": "  x "}),
        ('A="it\'s $5\\n"', {"A": "it's $5\\n"}),
        ("A=x 'y'", {"A": "x 'y'"}),
        ("A=''", {"A": ""}),
        ("  # A=1", {}),
        ("", {}),
        ("A=1\r\nB=2\r\n", {"A": "1", "B": "2"}),
        ("A=1\nA=2", {"A": "2"}),
        ("A=\u20ac\x85x", {"A": "\u20ac\x85x"}),
    ],
)
def test_a_line_is_read_as_it_is_written(line: str, found: dict[str, str]) -> None:
    assert env_files.parse(line, "f") == found


@pytest.mark.parametrize("line", [SECRET, "1A=x", "A B=x", "=x", "A", f"A='{SECRET}", f'A="{SECRET}', "A='", "A=\0"])
def test_a_mistake_is_told_with_its_line_and_without_its_text(line: str) -> None:
    with pytest.raises(ConfigError) as raised:
        env_files.parse(f"OK=1\n{line}\nOK=2", "f.env")
    (told,) = raised.value.problems
    assert told.startswith("f.env:2: ") and SECRET not in told


@given(st.text(st.characters(exclude_characters="\r\n\0'\"", codec="utf-8")))
def test_any_text_between_quotes_arrives(value: str) -> None:
    for quote in ("'", '"'):
        assert env_files.parse(f"A={quote}{value}{quote}", "f") == {"A": value}


@given(st.text())
def test_any_file_is_read_or_refused(text: str) -> None:
    try:
        found = env_files.parse(text, "f")
    except ConfigError as refused:
        assert all(line.startswith("f:") for line in refused.problems)
    else:
        assert all(name and "=" not in name and "\0" not in name + value for name, value in found.items())


def test_a_later_file_goes_before_an_earlier_one(tmp_path: Path) -> None:
    one = written(tmp_path / "one", "A=1\nB=1\n")
    two = written(tmp_path / "two", "B=2\n")
    assert env_files.variables([one, two]) == {"A": "1", "B": "2"}
    assert env_files.variables([]) == {}


def test_a_file_that_others_can_write_is_not_believed(tmp_path: Path) -> None:
    path = written(tmp_path / "open", f"A={SECRET}", 0o620)
    assert problems(path) == [f"{path}: cannot trust it: writable by others; chmod go-w {path}"]
    (tmp_path / "closed").mkdir(mode=0o700)
    closed = written(tmp_path / "closed" / "f", "A=1")
    (tmp_path / "closed").chmod(0o777)
    assert problems(closed)[0].startswith(f"{closed}: cannot trust it: {tmp_path}/closed is writable by others")


def test_a_link_is_followed_only_to_what_can_be_trusted(tmp_path: Path) -> None:
    target = written(tmp_path / "target", "A=1", 0o666)
    (tmp_path / "link").symlink_to(target)
    assert "writable by others" in problems(str(tmp_path / "link"))[0]


def test_a_file_that_is_missing_or_too_large_or_none_is_told(tmp_path: Path) -> None:
    assert problems(str(tmp_path / "none")) == [f"{tmp_path}/none: cannot read: No such file or directory"]
    large = written(tmp_path / "large", "#" * (env_files.MAX_SIZE + 1))
    assert "cannot read: over" in problems(large)[0]
    assert "not a regular file" in problems(str(tmp_path))[0]
