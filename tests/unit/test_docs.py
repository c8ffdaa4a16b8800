"""The documentation keeps step with the code."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest

from circus_cg import errors, spec

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]
NAMED_BY_THEIR_KEY = {"name", "device"}  # a watcher's name and a device are the keys of their mappings


def test_the_reference_names_every_option() -> None:
    options = {
        field.encode_name
        for one in (spec.ArbiterSpec, spec.WatcherSpec, spec.Limits, spec.IoMax, spec.Backoff, spec.Flapping)
        for field in msgspec.structs.fields(one)
    }
    written = set(re.findall(r"`(\w+)(?:: \w+)?`", (ROOT / "docs/reference/config.md").read_text()))
    assert options - NAMED_BY_THEIR_KEY <= written


def test_the_reference_names_every_error_with_its_status() -> None:
    written = (ROOT / "docs/reference/errors.md").read_text()
    rows = {row.split("|")[1].strip(): row for row in written.splitlines() if row.startswith("|")}
    classes = [one for one in vars(errors).values() if isinstance(one, type) and issubclass(one, Exception)]
    for one in classes:
        row = rows[str(getattr(one, "exit_status", None))]
        assert one.__name__ in row
        assert f"`{getattr(one, 'code', None)}`" in row


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_link_leads_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text())
    assert [link for link in links if not (page.parent / link).exists()] == []
