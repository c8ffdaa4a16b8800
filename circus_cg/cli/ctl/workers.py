"""incr, decr, signal."""

from __future__ import annotations

from typing import Any

import click

from circus_cg.cli.ctl.done import done
from circus_cg.cli.ctl.parameters import json_option, name_argument, wait_option
from circus_cg.cli.ctl.session import Session


def _counting(verb: str, does: str) -> click.Command:
    @click.command(verb, help=f"{does} of a watcher. Example: circus-cg ctl {verb} web 2")
    @name_argument
    @click.argument("nb", default=1, type=click.IntRange(min=0))
    @wait_option
    @json_option
    @click.pass_obj
    def command(session: Session, name: str, nb: int, wait: bool, json_: bool) -> None:
        fields = session.call(verb, name=name, nb=nb)
        if wait:
            fields |= {"statuses": session.wait([name], "simple", "up")["statuses"]}
        if json_:
            done(fields, json_)
        else:
            click.echo(f"{name}: {fields['numprocesses']} workers")

    return command


incr = _counting("incr", "Add workers, one or NB,")
decr = _counting("decr", "Take workers away, one or NB,")


@click.command()
@name_argument
@click.argument("words", nargs=-1, required=True, metavar="[PID [CHILDPID]] SIGNAL")
@click.option("--wid", type=int, help="Only the worker with this number.")
@click.option("--children", is_flag=True, help="To what the workers forked, instead of to them.")
@click.option("--recursive", is_flag=True, help="To all below them too; with --children, to those alone.")
@click.option("--group", is_flag=True, help="To all that is in their groups, whoever forked it.")
@json_option
@click.pass_obj
def signal(session: Session, /, name: str, words: tuple[str, ...], json_: bool, **narrower: Any) -> None:
    """Send a signal to the workers of a watcher. Example: circus-cg ctl signal web HUP --wid 1"""
    *numbers, signum = words
    if len(numbers) > 2 or not all(number.isdigit() for number in numbers):
        raise click.UsageError("expected at most two pids, then one signal: signal NAME [PID [CHILDPID]] SIGNAL")
    pids = dict(zip(("pid", "childpid"), map(int, numbers), strict=False))
    number: int | str = int(signum) if signum.isdigit() else signum
    fields = session.call("signal", name=name, signum=number, **pids, **narrower)
    done(fields, json_, f"{name}: {fields['signal']} sent to {', '.join(map(str, fields['signalled']))}")
