"""The grammar of circus.ini, line by line. (Compared with circus's own parser in test_circus_differential.)"""

from __future__ import annotations

import time
from contextlib import suppress

import pytest

from circus_cg.config import ini_text
from circus_cg.config.findings import Findings, Place
from circus_cg.config.ini_text import Document
from circus_cg.config.nodes import TooLarge
from circus_cg.errors import ConfigError


def read(*texts: str) -> dict[str, dict[str, str]]:
    """The sections of files named 1.ini, 2.ini, ... of which the first is the main one."""
    findings = Findings()
    document = Document(findings)
    for number, text in enumerate(texts, start=1):
        document.add(text, f"{number}.ini")
    findings.raise_any()
    return {one.title: {key: value.text for key, value in one.values.items()} for one in document.sections()}


def problems(text: str) -> list[str]:
    with pytest.raises(ConfigError) as raised:
        read(text)
    return raised.value.problems


def notes(*texts: str) -> list[str]:
    findings = Findings()
    document = Document(findings)
    for number, text in enumerate(texts, start=1):
        document.add(text, f"{number}.ini")
    document.sections()
    return [f"{one.place}: {one.text}" for one in findings.notices]


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("k = v", "v"),
        ("k=v", "v"),
        ("k : v", "v"),
        ("k:v=w", "v=w"),
        ("k = a b  c ", "a b  c"),
        ("k = v ; comment", "v"),
        ("k = v\t;comment ; more", "v"),
        ("k = v;w", "v;w"),
        ("k = v;w ; no comment, since it is not the first", "v;w ; no comment, since it is not the first"),
        ("k = ; no comment", "; no comment"),
        ("k = v # no comment", "v # no comment"),
        ("k =", ""),
        ('k = ""', ""),
        ('k = "v"', '"v"'),
        ("k = \x0bv\x1cw\u2028x", "v\x1cw\u2028x"),
    ],
)
def test_a_value_is_what_circus_reads(line: str, value: str) -> None:
    assert read(f"[s]\n{line}\n") == {"s": {"k": value}}


def test_lines_end_as_on_any_system() -> None:
    assert read("[s]\r\na = 1\rb = 2\nc = 3") == {"s": {"a": "1", "b": "2", "c": "3"}}


def test_comments_and_blank_lines_are_nothing() -> None:
    assert read("# a\n; b\nrem c\nREM\n\n[s]\n#x = 1\nremove = 2\nremote = 3\n") == {
        "s": {"remove": "2", "remote": "3"}
    }


def test_an_indented_line_continues_across_blank_lines_and_comments() -> None:
    assert read("[s]\nk = a\n  b\n\n# c\n\td ; e\n[t]\nl = m\n") == {"s": {"k": "a\nb\nd ; e"}, "t": {"l": "m"}}


def test_keys_differ_by_case() -> None:
    assert read("[s]\nK = 1\nk = 2\n") == {"s": {"K": "1", "k": "2"}}


def test_the_first_definition_counts_in_a_file_a_section_and_across_files() -> None:
    first = "[s]\nk = 1\nk = 2\n  3\n[s]\nk = 4\n  5\nl = 6\n"
    assert read(first, "[s]\nl = 7\nm = 8\n[t]\nn = 9\n") == {"s": {"k": "1", "l": "6", "m": "8"}, "t": {"n": "9"}}
    assert notes(first) == ["1.ini:3: 'k' is set twice in [s]: line 2 comes first, and counts"]


def test_a_section_s_title_is_all_within_the_outer_brackets() -> None:
    assert read("[a [b]] rest\nk = 1\n") == {"a [b]": {"k": "1"}}


def test_default_is_part_of_each_section() -> None:
    assert read("[DEFAULT]\na = 1\nb = 2\n[s]\nb = 3\n[t]\n") == {"s": {"a": "1", "b": "3"}, "t": {"a": "1", "b": "2"}}


def test_an_empty_section_is_skipped_and_noted() -> None:
    assert read("[s]\n[t]\nk = 1\n") == {"t": {"k": "1"}}
    assert notes("[s]\n[t]\nk = 1\n") == ["1.ini:1: [s] is empty, and skipped"]


def test_all_that_is_wrong_is_told_with_its_line() -> None:
    assert problems("k = 1\n[s]\nnonsense\n[]\n= 2\n[t]\n  l = 3\nm = 4\n") == [
        "1.ini:1: expected a [section] before anything else, found 'k = 1'",
        "1.ini:3: expected [section] or key = value, found 'nonsense'",
        "1.ini:4: expected [section] or key = value, found '[]'",
        "1.ini:5: expected [section] or key = value, found '= 2'",
        "1.ini:7: 'l = 3' is indented but continues nothing; remove the blanks",
    ]


def test_each_value_knows_its_place() -> None:
    document = Document(Findings())
    document.add("[s]\n\na = 1\n", "1.ini")
    document.add("[s]\nb = 1\n", "2.ini")
    (section,) = document.sections()
    assert section.place == Place("1.ini", 1)
    assert [value.place for value in section.values.values()] == [Place("1.ini", 3), Place("2.ini", 2)]


def test_too_many_keys_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ini_text, "MAX_KEYS", 10)
    with pytest.raises(TooLarge):
        read("[s]\n" + "".join(f"k{number} = 1\n" for number in range(11)))
    with pytest.raises(TooLarge):  # what [DEFAULT] gives to each counts as well
        read("[DEFAULT]\na = 1\nb = 2\n" + "".join(f"[s{number}]\nk = 1\n" for number in range(3)))


def test_a_text_made_to_be_slow_is_not() -> None:
    began = time.monotonic()
    for text in (
        "[s]\n" + " " * 2_000_000,
        "[s]\nk" + " " * 2_000_000 + "x",
        "[" * 2_000_000,
        "[s]\nk = " + ";" * 2_000_000,
    ):
        with suppress(ConfigError):
            read(text)
    assert time.monotonic() - began < 5
