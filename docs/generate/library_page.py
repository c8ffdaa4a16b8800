"""What the library exports, for Sphinx to render from the docstrings."""

from __future__ import annotations

import inspect

import circus_cg


def blocks() -> dict[str, str]:
    names = [name for name in getattr(circus_cg, "__all__", ()) if name != "__version__"]
    if not names:
        return {"names": "It exports no other name so far."}
    return {"names": "```{eval-rst}\n" + "\n\n".join(map(_directive, names)) + "\n```"}


def _directive(name: str) -> str:
    exported = getattr(circus_cg, name)
    if inspect.isclass(exported):
        return f".. autoclass:: circus_cg.{name}\n   :members:"
    return f".. {'autofunction' if callable(exported) else 'autodata'}:: circus_cg.{name}"
