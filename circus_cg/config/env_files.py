"""Files of `NAME=value` lines. They often hold secrets: no message quotes what stands in one.

A value is what follows the `=`, without the blanks around it; `$`, `\\` and `#` in it stay as written. A pair of quotes
around all of it is taken off. Blank lines and lines that begin with `#` say nothing; `export ` before a name is passed
over.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from circus_cg.config import trusted
from circus_cg.errors import ConfigError

MAX_SIZE = 1 << 20  # bytes of one file; the kernel takes no longer environment than a few of them

_LINE = re.compile(r"(?:export[ \t]+)?([A-Za-z_][A-Za-z0-9_.-]*)[ \t]*=[ \t]*(.*)")
_QUOTES = ("'", '"')


def variables(paths: Iterable[str]) -> dict[str, str]:
    """What the files say together, a later one before an earlier one. Raises ConfigError.

    They must be as trusted as the configuration: a variable such as LD_PRELOAD is a program.
    """
    found: dict[str, str] = {}
    for path in paths:
        found |= parse(trusted.text(Path(path), MAX_SIZE), path)
    return found


def parse(text: str, file: str) -> dict[str, str]:
    """Raises ConfigError with all that is wrong."""
    found: dict[str, str] = {}
    problems = []
    for number, line in enumerate(re.split(r"\r?\n", text), 1):
        stripped = line.strip(" \t")
        if not stripped or stripped.startswith("#"):
            continue
        try:
            name, value = _variable(stripped)
        except ValueError as wrong:
            problems.append(f"{file}:{number}: {wrong}")
        else:
            found[name] = value
    if problems:
        raise ConfigError(problems)
    return found


def _variable(line: str) -> tuple[str, str]:
    if "\0" in line:
        raise ValueError("a NUL can't be part of it; remove it")
    matched = _LINE.fullmatch(line)
    if matched is None:
        raise ValueError("no variable; expected NAME=value")
    name, value = matched.groups()
    if value[:1] not in _QUOTES:
        return name, value
    if len(value) < 2 or value[-1] != value[0]:
        raise ValueError("a quote that does not end with its line; close it")
    return name, value[1:-1]
