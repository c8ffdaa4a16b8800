"""Exit statuses and wire codes, from the tree of errors."""

from __future__ import annotations

import inspect
from collections.abc import Iterator

import circus_cg.rpc.keyring
import circus_cg.rpc.messages  # noqa: F401
from circus_cg.errors import CircusCgError
from docs.generate.blocks import escaped, table


def blocks() -> dict[str, str]:
    classes = sorted(_tree(CircusCgError), key=lambda one: one.exit_status)
    rows = [(str(one.exit_status), f"`{one.code}`", one.__name__, _meaning(one)) for one in classes]
    return {"errors": table(("status", "code", "class", "meaning"), [("0", "", "", "It is done."), *rows])}


def _tree(base: type[CircusCgError]) -> Iterator[type[CircusCgError]]:
    yield base
    for one in base.__subclasses__():
        yield from _tree(one)


def _meaning(one: type[CircusCgError]) -> str:
    return escaped(" ".join((inspect.getdoc(one) or "").split()))
