"""`circus-cg completion`: the script that a shell needs to complete our verbs, options and watchers."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print the completion script of a shell. Example: eval "$(circus-cg completion bash)" """
    kind = get_completion_class(shell)
    assert kind is not None
    click.echo(kind(ctx.find_root().command, {}, "circus-cg", "_CIRCUS_CG_COMPLETE").source())
