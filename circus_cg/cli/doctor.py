"""`circus-cg doctor`: what this host offers, what will not work, why, and the remedy."""

from __future__ import annotations

import os
from pathlib import Path

import click
import msgspec

from circus_cg.cgroup.probe import Ability, Report, probe
from circus_cg.cli.output import as_json, table
from circus_cg.errors import HostError
from circus_cg.host import scope
from circus_cg.keeper import launch

SCOPE = Ability("own subtree", True, "`run` asks systemd for a delegated scope")
MARKS = {True: "yes", False: "no"}


@click.command()
@click.option("--json", "json_", is_flag=True, help="Print one JSON document for a program.")
@click.option("--cgroup-root", envvar="CIRCUS_CG_ROOT", help="Path below each hierarchy's mount, `/` for its root.")
@click.pass_context
def doctor(ctx: click.Context, json_: bool, cgroup_root: str | None) -> None:
    """Tell what this host offers, what won't work, why, and the remedy. Example: circus-cg doctor --json

    Exit status 0: workers can be contained. 3: they can't; the text says why.
    """
    scoped = cgroup_root is None and scope.is_asked_for()
    report = probe(scope.above() if scoped else cgroup_root)
    abilities = (*report.abilities, _launcher(), *([SCOPE] if scoped else []))
    if json_:
        as_json(
            {"ok": not report.obstacles, **msgspec.to_builtins(report), "abilities": msgspec.to_builtins(abilities)}
        )
    else:
        _show(report, abilities)
    ctx.exit(HostError.exit_status if report.obstacles else 0)


def _launcher() -> Ability:
    """As the keeper will choose it."""
    built = os.access(Path(launch.__file__).with_name("launcher"), os.X_OK)
    lost = "not built (no C compiler at installation?): workers are forked, which is slower; install it and reinstall"
    return Ability("launcher", built, "native" if built else lost)


def _show(report: Report, abilities: tuple[Ability, ...]) -> None:
    layout = report.layout
    click.echo(f"Linux {report.kernel}, cgroups: {'none' if layout is None else layout.mode}\n")
    if layout is not None:
        rows = [(f"v{h.version}", h.mount, h.root, " ".join(h.controllers) or "-") for h in layout.hierarchies]
        table(("HIERARCHY", "MOUNT", "ROOT", "CONTROLLERS"), rows)
        click.echo()
    table(("ABILITY", "THERE", "HOW, OR WHAT IS LOST"), [(a.name, MARKS[a.there], a.text) for a in abilities])
    if report.limits:
        click.echo()
        table(("LIMIT", "KEPT", "WHY"), [(one.limit, one.grade, one.text) for one in report.limits])
    click.echo()
    for obstacle in report.obstacles:
        click.echo(f"circus-cg: {obstacle}", err=True)
    if not report.obstacles:
        click.echo("Workers can be contained here.")
    for warning in report.warnings:
        click.echo(f"Warning: {warning}.")
