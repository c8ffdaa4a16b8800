"""circus's stream classes -> where one stream of a worker goes."""

from __future__ import annotations

from collections.abc import Mapping

from circus_cg.config.findings import Place
from circus_cg.config.ini_text import Value
from circus_cg.config.problems import shown

_FILES = ("FileStream", "WatchedFileStream", "TimedRotatingFileStream")
_OTHERS = ("StdoutStream", "FancyStdoutStream", "QueueStream")
_PACKAGES = ("circus.stream.", "circus.stream.file_stream.")


def stream(options: Mapping[str, Value]) -> tuple[str | None, list[tuple[Place, str]]]:
    """A file, or None for the daemon's own stream; and what circus would do that is not done yet.

    `options` are those of `stdout_stream.`, by their last words. Raises ValueError if circus has no such class.
    """
    cls = options.get("class")
    name = cls.text if cls else "FileStream"
    for package in sorted(_PACKAGES, key=len, reverse=True):
        name = name.removeprefix(package)
    place = cls.place if cls else next(iter(options.values())).place
    if name == "StdoutStream":
        return None, []
    if name == "FancyStdoutStream":
        return None, [(place, "not yet: lines get no colour and no time; the output is inherited")]
    if name not in (*_FILES, *_OTHERS) and "." not in name:
        raise ValueError(
            f"{name[:60]!r} is no class of circus; expected {', '.join((*_FILES, *_OTHERS))} or a.module.Class"
        )
    if name not in _FILES:
        return None, [(place, f"not yet: no class '{shown(name)}' is called; the output is inherited")]
    file = options.get("filename")
    if file is None or not file.text:
        return None, [(place, "not yet: without a filename no file is made; the output is inherited")]
    return file.text, []
