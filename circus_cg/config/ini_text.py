"""The text of circus.ini -> sections of keys with their lines, by the rules of circus's own parser.

A key or section that is there already keeps its first value: the main file comes before what it includes.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from circus_cg.config.findings import Findings, Kind, Place
from circus_cg.config.nodes import TooLarge
from circus_cg.config.problems import shown

MAX_KEYS = 250_000  # in all files
DEFAULT = "DEFAULT"  # its keys belong to every section

_LINES = re.compile(r"\r\n|\r|\n")
_DELIMITER = re.compile("[=:]")


class Value(NamedTuple):
    text: str
    place: Place


class Section(NamedTuple):
    title: str
    place: Place
    values: dict[str, Value]


class Document:
    """The sections of a file and of those it includes, in their order."""

    def __init__(self, findings: Findings) -> None:
        self._sections: dict[str, Section] = {}
        self._findings = findings
        self._keys = 0

    def sections(self) -> list[Section]:
        """Those that have keys; `[DEFAULT]` is no section but part of each."""
        common = self._sections[DEFAULT].values if DEFAULT in self._sections else {}
        whole = [
            Section(one.title, one.place, {**common, **one.values})
            for title, one in self._sections.items()
            if title != DEFAULT
        ]
        if common:
            self._spend(len(common) * len(whole))
        for one in whole:
            if not one.values:
                self._findings.notice(Kind.NOTE, one.place, f"[{shown(one.title)}] is empty, and skipped")
        return [one for one in whole if one.values]

    def section(self, title: str) -> Section | None:
        return next((one for one in self.sections() if one.title == title), None)

    def add(self, text: str, file: str) -> None:
        """Reads one file. Raises TooLarge; all else that is wrong goes to the findings."""
        parts: dict[str, tuple[Place, list[str]]] = {}
        title: str | None = None
        key: str | None = None  # the one that indented lines continue
        for number, line in enumerate(_LINES.split(text), start=1):
            if not line.strip() or line[0] in "#;" or _is_rem(line):
                continue
            place = Place(file, number)
            if line[0].isspace() and key is not None:
                if key in parts:
                    parts[key][1].append(line.strip())
                continue
            if line[0] == "[" and line.rfind("]") > 1:
                self._close(title, parts)
                title, parts, key = line[1 : line.rfind("]")], {}, None
                self._sections.setdefault(title, Section(title, place, {}))
                continue
            key = self._key(line, place, title, parts)
        self._close(title, parts)

    def _key(self, line: str, place: Place, title: str | None, parts: dict[str, tuple[Place, list[str]]]) -> str:
        """Files one `key = value` under `parts`; its name, by which the lines that continue it are told."""
        delimiter = _DELIMITER.search(line)
        name = line[: delimiter.start()].rstrip() if delimiter else ""
        if title is None:
            self._findings.problem(place, f"expected a [section] before anything else, found '{shown(line.strip())}'")
        elif line[0].isspace():
            self._findings.problem(
                place, f"'{shown(line.strip())}' is indented but continues nothing; remove the blanks"
            )
        elif not delimiter or not name:
            self._findings.problem(place, f"expected [section] or key = value, found '{shown(line.strip())}'")
        elif name in parts:
            text = (
                f"'{shown(name)}' is set twice in [{shown(title)}]: line {parts[name][0].line} comes first, and counts"
            )
            self._findings.notice(Kind.NOTE, place, text)
        else:
            self._spend(1)
            parts[name] = (place, [_plain(line[delimiter.end() :])])
            return name
        return ""  # what continues it goes with it

    def _close(self, title: str | None, parts: dict[str, tuple[Place, list[str]]]) -> None:
        if title is not None:
            known = self._sections[title].values
            for name, (place, lines) in parts.items():
                known.setdefault(name, Value("\n".join(lines), place))

    def _spend(self, keys: int) -> None:
        self._keys += keys
        if self._keys > MAX_KEYS:
            raise TooLarge


def _is_rem(line: str) -> bool:
    return line[:3].lower() == "rem" and (len(line) == 3 or line[3].isspace())


def _plain(written: str) -> str:
    """Without a comment, which is what follows a blank and the first `;` of the line."""
    end = written.find(";")
    if end > 0 and written[end - 1].isspace() and written[:end].strip():
        written = written[:end]
    text = written.strip()
    return "" if text == '""' else text
