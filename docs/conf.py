"""Sphinx: `./dev docs` builds the site in docs/_build. It fetches nothing and fails on any warning."""

from __future__ import annotations

from typing import Any

from pygments.lexers.special import TextLexer
from sphinx.application import Sphinx

from circus_cg import __version__
from circus_cg.config.schema import BYTES, COUNT, CPUS, OPTIONS, SECONDS, SIZE

project = "circus-cg"
author = "The circus-cg authors"
copyright = author
release = __version__
extensions = ["myst_parser", "sphinx.ext.autodoc"]
exclude_patterns = ["_build"]
default_role = "code"
html_theme = "furo"
html_title = "circus-cg"
html_show_sphinx = False
html_copy_source = False
myst_heading_anchors = 4
autodoc_member_order = "bysource"
maximum_signature_line_length = 100

UNITS = {BYTES: "bytes", SIZE: "bytes", SECONDS: "seconds", CPUS: "CPUs", COUNT: "a number"}  # as the specs hold them


def describe_options(_app: Sphinx, what: str, _name: str, thing: Any, _options: Any, lines: list[str]) -> None:
    """A spec's fields are described in the option table; its docstring need not say it again."""
    if what == "class" and thing in OPTIONS:
        for key, option in OPTIONS[thing].items():
            unit = UNITS.get(option.unit) if option.unit else None
            lines.append(f":param {key}: {option.description}" + (f" ({unit})" if unit else ""))
        lines.append("")


def setup(app: Sphinx) -> None:
    app.add_lexer("mermaid", TextLexer)  # GitHub draws it; here it stays text
    app.connect("autodoc-process-docstring", describe_options)
