"""The documentation keeps step with the code."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from circus_cg import errors
from circus_cg.cli.main import main
from circus_cg.config.schema import OPTIONS, fields
from docs.generate import cli_page, pages
from docs.generate.blocks import filled

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]


@pytest.mark.parametrize("page", pages.PAGES)
def test_the_generated_parts_of_the_reference_are_as_the_code_is(page: str) -> None:
    assert pages.generated(page) == (pages.REFERENCE / page).read_text(), "run ./dev docs and commit what it wrote"


def test_the_reference_names_every_option() -> None:
    written = set(re.findall(r"^\| `(\w+)` \|", (pages.REFERENCE / "config.md").read_text(), re.MULTILINE))
    assert {key for struct in OPTIONS for key in fields(struct)} == written


def test_the_reference_names_every_command_and_option_of_the_command_line() -> None:
    written = (pages.REFERENCE / "cli.md").read_text()
    for path, command in commands("circus-cg", main):
        assert f" {path}\n" in written
        _before, _heading, section = written.partition(f" {path}\n")
        for param in command.params:
            if isinstance(param, click.Option):
                assert param.opts[0] in section.partition("\n#")[0]


def commands(path: str, command: click.Command) -> Iterator[tuple[str, click.Command]]:
    yield path, command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            assert inner is not None
            if not inner.hidden:
                yield from commands(f"{path} {name}", inner)


def test_the_reference_names_every_error_with_its_code_and_status() -> None:
    written = (ROOT / "docs/reference/errors.md").read_text()
    classes = [one for one in vars(errors).values() if isinstance(one, type) and issubclass(one, errors.CircusCgError)]
    for one in classes:
        assert f"| {one.exit_status} | `{one.code}` | {one.__name__} |" in written


@pytest.mark.parametrize(
    ("page", "blocks"), [("<!-- generated: a -->\n<!-- end -->", {}), ("no block here", {"a": "text"})]
)
def test_a_block_without_its_text_and_a_text_without_its_block_are_refused(page: str, blocks: dict[str, str]) -> None:
    with pytest.raises(KeyError, match="a"):
        filled(page, blocks)


def test_a_block_has_one_place() -> None:
    """A merge of two branches had left two sections of one name."""
    block = "<!-- generated: a -->\n<!-- end -->\n"
    with pytest.raises(KeyError, match="twice"):
        filled(block + block, {"a": "text"})


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_no_two_sections_of_a_page_have_one_name(page: Path) -> None:
    found = re.findall(r"^## (.+)$", re.sub(r"^```.*?^```", "", page.read_text(), flags=re.M | re.S), re.MULTILINE)
    assert len(found) == len(set(found))


def test_help_becomes_markdown_with_its_example_apart() -> None:
    @click.command()
    @click.option("--to", metavar="DIR", default="a*b", show_default=True, envvar="TO", help="Where <to>; `a*b` stays.")
    def send() -> None:
        """Send *all* of
        it. Example: send --to x

        \b
        left   as
          it is

        Last words.
        """

    sections = "\n".join(cli_page.sections(send, click.Context(send, info_name="send"), 2))
    assert sections.splitlines() == [
        "## send",
        r"Send \*all\* of it.",
        *("```sh", "send --to x", "```"),
        *("```text", "left   as", "  it is", "```"),
        "Last words.",
        *("```text", "send [OPTIONS]", "```"),
        "| option | meaning |",
        "| --- | --- |",
        r"| `--to DIR` | Where \<to\>; `a*b` stays. \[default: a\*b\] Environment: `TO`. |",
    ]


@pytest.mark.parametrize(
    ("text", "status"),
    [
        ("# Page\n\n[here](index.md#page)", 0),
        ("# Page\n\n[nowhere](nowhere.md)", 1),
        ("# Page\n\n[nowhere](index.md#nowhere)", 1),
        ("# Page\n\n```{eval-rst}\n.. autofunction:: circus_cg.nothing_of_that_name\n```", 1),
    ],
)
def test_a_broken_link_fails_the_build(text: str, status: int, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / "index.md").write_text(text)
    build = [sys.executable, "-m", "sphinx", "-W", "-q", "-b", "dummy", "-c", str(ROOT / "docs"), str(source)]
    assert subprocess.run([*build, str(tmp_path / "built")], capture_output=True, check=False).returncode == status


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_link_leads_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text())
    assert [link for link in links if not (page.parent / link).exists()] == []
