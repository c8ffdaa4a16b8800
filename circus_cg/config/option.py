"""What the table of options is made of: an option, and the units in which operators write."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, NamedTuple

from circus_cg import units
from circus_cg.config.words import command_words, exit_statuses, stop_step, stop_steps


class Unit(NamedTuple):
    """How an option is written as one text; `none` is the word for None."""

    name: str
    parse: Callable[[str], Any]
    none: str | None = None


class Option(NamedTuple):
    """`least` and `most` include themselves, and `most` comes with `least`.

    `also` are other people's names for it, to guess what was meant. `words` are texts with a meaning of their own.
    `absent` says what None means. In what `expands` a `$(circus.env.NAME)` is replaced.
    """

    description: str
    unit: Unit | None = None  # None: the type says how it is written
    least: float | None = None
    most: float | None = None
    choices: tuple[str, ...] = ()
    also: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    absent: str = ""
    expands: bool = False
    item: Unit | None = None  # of a list, whose `unit` reads all of it


_NAMES = re.compile(r"[^,\s]+")

BYTES = Unit("bytes such as 512M", units.parse_bytes, none="max")
SIZE = BYTES._replace(none=None)  # where there is a limit always
CPUS = Unit("CPUs such as 1.5", units.parse_cpus, none="max")
COUNT = Unit("a whole number", units.parse_count, none="max")
SECONDS = Unit("seconds such as 30s or 500ms", units.parse_seconds)
SIGNAL = Unit("a signal such as TERM", units.signal_number)
UMASK = Unit("an octal mask such as 022", units.parse_umask)
RLIMIT = Unit("a number, a size or infinity", units.parse_rlimit)
COMMAND = Unit("a command: a list or text", command_words)
PATHS = Unit("a path, or a list of paths", lambda text: (text,))
NAMES = Unit("names: a list or text", lambda text: tuple(_NAMES.findall(text)))
CAPABILITIES = Unit("names such as net_bind_service: a list or text", lambda text: tuple(_NAMES.findall(text)))
STOP_STEP = Unit("a signal and the seconds it has, such as TERM 10s", stop_step)
STOPS = Unit("such steps: a list, or text with commas", stop_steps)
STATUSES = Unit("codes and signals such as 75 TERM: a list or text", exit_statuses)

MAX_SECONDS = 1e9  # 31 years; what is longer is a slip, and clocks should not overflow
MAX_WORKERS = 100_000
PAGE = 4096  # bytes: the kernel rounds a smaller limit down to nothing
