"""freeze, thaw."""

from __future__ import annotations

import click

from circus_cg.cli.ctl.done import done
from circus_cg.cli.ctl.parameters import json_option, match_option, names_argument
from circus_cg.cli.ctl.session import Session


def _verb(verb: str, result: str, does: str) -> click.Command:
    @click.command(verb, help=f"{does} Example: circus-cg ctl {verb} web --wid 2")
    @names_argument
    @click.option("--wid", type=int, help="Only the worker with this number.")
    @match_option
    @json_option
    @click.pass_obj
    def command(session: Session, names: tuple[str, ...], wid: int | None, match: str, json_: bool) -> None:
        if not names:
            raise click.UsageError(f"cannot {verb}: no watcher was named; '*' is all of them")
        fields = session.call(verb, name=list(names), wid=wid, match=match)
        told = [f"{name}: {', '.join(map(str, wids))}" for name, wids in fields[result].items()]
        done(fields, json_, f"{result} " + "; ".join(told))

    return command


freeze = _verb("freeze", "frozen", "Let workers stand still, with all they forked, until a thaw, a stop or a restart.")
thaw = _verb("thaw", "thawed", "Let frozen workers go on.")
