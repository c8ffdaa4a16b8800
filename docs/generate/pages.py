"""Which page has which generated blocks."""

from __future__ import annotations

from pathlib import Path

from docs.generate import circus_page, cli_page, config_page, errors_page, library_page
from docs.generate.blocks import filled

REFERENCE = Path(__file__).parents[1] / "reference"
PAGES = {
    "config.md": config_page.blocks,
    "cli.md": cli_page.blocks,
    "errors.md": errors_page.blocks,
    "library.md": library_page.blocks,
    "../howto/from-circus.md": circus_page.blocks,
}


def generated(name: str) -> str:
    """The page of that name as it should be."""
    return filled((REFERENCE / name).read_text(), PAGES[name]())
