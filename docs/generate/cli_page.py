"""The command line, from the commands themselves: what `--help` says, with examples set apart."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator

import click

from circus_cg.cli.main import main
from docs.generate.blocks import escaped, table

_EXAMPLE = re.compile(r"\s*\bExamples?: (.+)$")
_WIDE = 10_000  # usage lines are not to be wrapped


def blocks() -> dict[str, str]:
    top = click.Context(main, info_name="circus-cg", terminal_width=_WIDE, max_content_width=_WIDE)
    return {"commands": "\n\n".join(sections(main, top, 2))}


def sections(command: click.Command, context: click.Context, depth: int) -> Iterator[str]:
    yield f"{'#' * depth} {context.command_path}"
    yield from _paragraphs(command.help or "")
    yield f"```text\n{command.get_usage(context).removeprefix('Usage: ')}\n```"
    if rows := list(_options(command, context)):
        yield table(("option", "meaning"), rows)
    yield from _paragraphs(command.epilog or "")
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            verb = command.get_command(context, name)
            if verb is not None and not verb.hidden:
                inner = click.Context(
                    verb, parent=context, info_name=name, terminal_width=_WIDE, max_content_width=_WIDE
                )
                yield from sections(verb, inner, 2 if depth == 2 and context.parent is None else depth + 1)


def _paragraphs(text: str) -> Iterator[str]:
    """Click's help: blocks between blank lines; one behind \\b stays as it is."""
    for block in re.split(r"\n\s*\n", inspect.cleandoc(text.partition("\f")[0])):
        if block.startswith("\b\n"):
            yield f"```text\n{block[2:].rstrip()}\n```"
            continue
        line = " ".join(block.split())
        example = _EXAMPLE.search(line)
        said = line[: example.start()] if example else line
        if said:
            yield escaped(said)
        if example:
            yield f"```sh\n{example[1]}\n```"


def _options(command: click.Command, context: click.Context) -> Iterator[tuple[str, str]]:
    for param in command.get_params(context):
        record = param.get_help_record(context)
        if record is None or not isinstance(param, click.Option) or "--help" in param.opts:
            continue
        names, help_ = record
        variable = f" Environment: `{param.envvar}`." if param.envvar and not param.show_envvar else ""
        yield f"`{names}`", escaped(" ".join(help_.split())) + variable
