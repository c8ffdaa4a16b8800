"""The code a daemon runs, sealed when it is started: what is installed may be replaced under it, or be half replaced.

One zip archive in a memfd for keeper and arbiters, and a descriptor of the launcher. Made by `run` and by an upgrade; a
keeper never imports this.
"""

import hashlib
import io
import marshal
import os
import struct
import sys
import zipfile
from contextlib import suppress
from importlib.machinery import SourceFileLoader
from importlib.util import MAGIC_NUMBER, cache_from_source
from typing import NamedTuple

from circus_cg import __version__
from circus_cg.keeper.boot import sealed
from circus_cg.keeper.wire import lift

PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
LAUNCHER = os.path.join(PACKAGE, "keeper", "launcher")
NEVER_RUN = {"cli", "library"}  # by keeper or arbiter
HEADER = MAGIC_NUMBER + bytes(12)  # of a compiled module: not checked against a source, since there is none
UNHASHED = bytes(4)  # PEP 552: time and size of the source follow
LONG_AGO = (1980, 1, 1, 0, 0, 0)


class Image(NamedTuple):
    """`digest` tells one keeper's code, launcher included, from another's."""

    fd: int
    launcher: int | None
    digest: str
    python: str
    version: str

    def record(self) -> dict[str, object]:
        """As it stands in a keeper's boot record."""
        return self._asdict()


def take() -> Image:
    """Of the code that runs here. Raises OSError."""
    keeper = hashlib.sha256(sys.version.encode())
    body = io.BytesIO()
    with zipfile.ZipFile(body, "w", zipfile.ZIP_STORED) as archive:
        for name, path in _modules():
            archive.writestr(zipfile.ZipInfo(f"{name}.pyc", LONG_AGO), HEADER + _compiled(name, path))
            if name.startswith("circus_cg/keeper/"):
                with open(path, "rb") as source:
                    keeper.update(f"\0{name}\0".encode() + source.read())
    launcher = None
    if os.access(LAUNCHER, os.X_OK):
        fd = os.open(LAUNCHER, os.O_RDONLY | os.O_CLOEXEC)
        try:
            launcher = lift(fd)
        finally:
            os.close(fd)
        with open(LAUNCHER, "rb") as program:
            keeper.update(b"\0launcher\0" + program.read())
    return Image(sealed("circus-cg-image", body.getvalue()), launcher, keeper.hexdigest(), sys.executable, __version__)


def _compiled(name: str, path: str) -> bytes:
    """As Python would import it: what it compiled before, if that is of this very source."""
    with suppress(OSError), open(cache_from_source(path), "rb") as cache:
        compiled, source = cache.read(), os.stat(path)
        stamp = struct.pack("<II", int(source.st_mtime) & 0xFFFFFFFF, source.st_size & 0xFFFFFFFF)
        if compiled.startswith(MAGIC_NUMBER + UNHASHED + stamp):
            return compiled[len(HEADER) :]
    dotted = name.replace("/", ".")
    return marshal.dumps(SourceFileLoader(dotted, path).get_code(dotted))


def _modules() -> list[tuple[str, str]]:
    """(name in the archive without its ending, file)"""
    found = []
    for directory, below, files in os.walk(PACKAGE):
        within = os.path.relpath(directory, os.path.dirname(PACKAGE))
        if directory == PACKAGE:
            below[:] = [name for name in below if name not in NEVER_RUN]
        found += [(f"{within}/{file[:-3]}", os.path.join(directory, file)) for file in files if file.endswith(".py")]
    return sorted(found)
