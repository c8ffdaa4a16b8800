"""Pages are written by hand but for blocks between two markers; and how Markdown wants text and tables."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

_BLOCK = re.compile(r"(?P<begin><!-- generated: (?P<name>[\w-]+) -->\n).*?(?P<end><!-- end -->)", re.DOTALL)
_CODE = re.compile(r"(`[^`]*`)")


def filled(page: str, blocks: Mapping[str, str]) -> str:
    """`page` with each block's text renewed.

    Raises KeyError for a block nobody writes, or that is there twice, or a text without its block.
    """
    seen: set[str] = set()

    def renewed(found: re.Match[str]) -> str:
        if found["name"] in seen:
            raise KeyError(f"the page has the block {found['name']} twice")
        seen.add(found["name"])
        return f"{found['begin']}\n{blocks[found['name']].strip()}\n\n{found['end']}"

    page = _BLOCK.sub(renewed, page)
    if missing := set(blocks) - seen:
        raise KeyError(f"the page has no block {', '.join(sorted(missing))}")
    return page


def escaped(text: str) -> str:
    """`text`, where Markdown would see marks in it; what is between backticks stays."""
    parts = _CODE.split(text)
    parts[::2] = [re.sub(r"([*_<>\[\]])", r"\\\1", part) for part in parts[::2]]
    return "".join(parts)


def table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Cells are Markdown already."""
    lines = [headings, ["---"] * len(headings), *[[cell.replace("|", "\\|") for cell in row] for row in rows]]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
