"""`circus-cg`: the verbs, and how an error becomes one line and an exit status."""

from __future__ import annotations

import sys
from typing import Any

import click

from circus_cg import __version__
from circus_cg.cli.lazy import LazyGroup
from circus_cg.errors import EXIT_STATUSES, CircusCgError

EXITS = f"Exit status: {', '.join(f'{status} {meaning}' for status, meaning in EXIT_STATUSES.items())}."


class Main(LazyGroup):
    def main(self, *args: Any, **kwargs: Any) -> Any:
        try:
            return super().main(*args, **kwargs)
        except CircusCgError as refused:
            for line in str(refused).splitlines():
                click.echo(f"circus-cg: {line}", err=True)
            sys.exit(refused.exit_status)


@click.command(
    cls=Main,
    rooms={
        "run": "circus_cg.cli.run:run",
        "check": "circus_cg.cli.check:check",
        "import": "circus_cg.cli.import_:import_",
        "doctor": "circus_cg.cli.doctor:doctor",
        "schema": "circus_cg.cli.schema:schema",
        "ctl": "circus_cg.cli.ctl:ctl",
        "top": "circus_cg.cli.top:top",
        "keys": "circus_cg.cli.keys:keys",
        "completion": "circus_cg.cli.completion:completion",
        "install-unit": "circus_cg.cli.install_unit:install_unit",
    },
    help="A process supervisor that puts every worker into a cgroup of its own.",
    epilog=EXITS,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(__version__, prog_name="circus-cg")
def main() -> None:
    pass
