"""`circus-cg schema`: what an editor must know to complete and check a configuration while it is written."""

from __future__ import annotations

import json

import click

from circus_cg.config import json_schema


@click.command()
def schema() -> None:
    """Print a JSON Schema of the configuration, for editors. Example: circus-cg schema > circus-cg.schema.json

    Editors with yaml-language-server read it from the configuration's first line:
    `# yaml-language-server: $schema=circus-cg.schema.json`
    """
    click.echo(json.dumps(json_schema.document(), indent=2))
