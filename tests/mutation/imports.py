"""Which modules of the core a file imports, over however many steps: who imports none of them notices no change."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]


def uses(file: Path) -> set[str]:
    """Names of modules of circus_cg/core."""
    seen: set[Path] = set()
    todo = [file.resolve()]
    while todo:
        one = todo.pop()
        if one not in seen:
            seen.add(one)
            todo += _imported(one)
    return {one.stem for one in seen if one.parent == ROOT / "circus_cg" / "core"}


@cache
def _imported(file: Path) -> tuple[Path, ...]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module is not None:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
    files = (ROOT.joinpath(*name.split(".")).with_suffix(".py") for name in names)
    return tuple(file for file in files if file.is_file())
