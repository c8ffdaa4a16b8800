"""What the library exports, for Sphinx to render from the docstrings."""

from __future__ import annotations

import inspect

import circus_cg

# What others made is not ours to explain: structs, tuples and exceptions bring members of their own.
FOREIGN = (tuple, Exception)


def blocks() -> dict[str, str]:
    exported = [(name, getattr(circus_cg, name)) for name in circus_cg.__all__ if name != "__version__"]
    exported.sort(key=lambda one: (_rank(one[1]), one[0]))
    return {"names": "```{eval-rst}\n" + "\n\n".join(_directive(*one) for one in exported) + "\n```"}


def _rank(exported: object) -> int:
    """Functions, then what they make, then values, then errors."""
    if not inspect.isclass(exported):
        return 0
    if issubclass(exported, Exception):
        return 3
    return 1 if _is_made_by_us(exported) else 2


def _is_made_by_us(exported: type) -> bool:
    return not issubclass(exported, FOREIGN) and not hasattr(exported, "__struct_fields__")


def _directive(name: str, exported: object) -> str:
    if not inspect.isclass(exported):
        return f".. autofunction:: circus_cg.{name}"
    more = "\n   :inherited-members:" if _is_made_by_us(exported) else ""
    return f".. autoclass:: circus_cg.{name}\n   :members:{more}"
