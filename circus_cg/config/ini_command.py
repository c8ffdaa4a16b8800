"""cmd, args, shell and shell_args -> the words of a command, as circus's Process puts them together."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping

from circus_cg import units
from circus_cg.config import substitution
from circus_cg.config.ini_surroundings import Expander
from circus_cg.config.ini_values import boolean
from circus_cg.config.words import command_words

LATER = "wid"  # replaced when a worker is spawned

_SHELL = ("/bin/sh", "-c")
# What circus's options are if nobody sets them, as its references spell them.
_DEFAULTS = {
    "numprocesses": "1",
    "warmup_delay": "0",
    "executable": "None",
    "on_demand": "False",
    "shell": "False",
    "shell_args": "None",
    "uid": "None",
    "gid": "None",
    "send_hup": "False",
    "stop_signal": "15",
    "stop_children": "False",
    "max_retry": "5",
    "graceful_timeout": "30.0",
    "priority": "0",
    "use_sockets": "False",
    "use_fds": "False",
    "singleton": "False",
    "copy_env": "False",
    "respawn": "True",
    "args": "",
    "max_age": "0",
    "max_age_variance": "30",
    "close_child_stdin": "True",
    "close_child_stdout": "False",
    "close_child_stderr": "False",
}
_NUMBERS = {"graceful_timeout": float, "numprocesses": int, "warmup_delay": int, "max_retry": int, "priority": int}


def command(texts: Mapping[str, str], known: Mapping[str, str], expander: Expander, *, shell: bool) -> tuple[str, ...]:
    """`texts` are the section's, `known` what they may refer to. Raises ValueError."""
    parts = [expander.substitute(texts.get(key, ""), known) for key in ("cmd", "args")]
    words = command_words(parts[0]) + command_words(parts[1])
    if shell:
        arguments = command_words(expander.substitute(texts.get("shell_args", ""), known))
        return (*_SHELL, " ".join(shlex.quote(word) for word in words), *arguments) if words else ()
    return words


def leftovers(text: str, later: str | None = None) -> Iterator[str]:
    """What in `text` will not be replaced, though it looks as if; the name `later` will be."""
    for name, written in substitution.references(text).items():
        if name.startswith("sockets."):
            yield f"not yet: {written} stays as written, since there are no sockets"
        elif name != later:
            yield f"{written} stays as written: it names nothing here"
    if "$WID" in text:
        yield "$WID stays as written; $(circus.wid) is the worker's number"


def options(texts: Mapping[str, str], directory: str) -> dict[str, str]:
    """What a command may refer to: each option and each key of the operator's own, by name."""
    found = {**_DEFAULTS, "working_dir": directory}
    for key, text in texts.items():
        name = key.lower()
        if key.startswith("rlimit_"):
            name = f"rlimits.{key.removeprefix('rlimit_').lower()}"
        elif key.partition(".")[0] in ("stdout_stream", "stderr_stream"):
            name = key.lower().replace("_stream.", "_stream_conf.", 1)
        found[name] = _spelled(key, text)
    found["use_fds"] = found["use_sockets"]
    found.pop(LATER, None)
    return found


def _spelled(key: str, text: str) -> str:
    """As circus would, which has read it already. What can't be read is told elsewhere."""
    try:
        if _DEFAULTS.get(key) in ("True", "False"):
            return str(boolean(text))
        if key == "stop_signal":
            return str(units.signal_number(text))
        if key in _NUMBERS:
            return str(_NUMBERS[key](text))
    except ValueError:
        pass
    return text
