"""start, stop, restart, reload, kill, wait, quit."""

from __future__ import annotations

from typing import Any

import click

from circus_cg.cli.ctl.done import done
from circus_cg.cli.ctl.parameters import (
    json_option,
    match_option,
    name_argument,
    names_argument,
    wait_option,
)
from circus_cg.cli.ctl.seconds import Seconds
from circus_cg.cli.ctl.session import Session

ROLLING = 24 * 3600.0  # seconds; each worker may take its graceful_timeout


def _verb(verb: str, does: str) -> click.Command:
    @click.command(verb, help=f"{does}. All watchers without NAMES. Example: circus-cg ctl {verb} 'web*'")
    @names_argument
    @match_option
    @wait_option
    @json_option
    @click.pass_obj
    def command(session: Session, names: tuple[str, ...], match: str, wait: bool, json_: bool) -> None:
        fields = session.call(verb, name=list(names) or None, match=match)
        if wait:
            fields |= session.wait(names, match, "down" if verb == "stop" else "up")
        done(fields, json_)

    return command


start = _verb("start", "Start; who waits or has failed tries again now")
stop = _verb("stop", "Stop: signal, graceful_timeout, then kill the whole group")
restart = _verb("restart", "A new life for every worker, all at once")


@click.command()
@names_argument
@click.option("--terminate", is_flag=True, help="All at once, as `restart`.")
@click.option("--sequential", is_flag=True, help="As circus has it; without it they are as well.")
@match_option
@wait_option
@json_option
@click.pass_obj
def reload(session: Session, /, names: tuple[str, ...], match: str, wait: bool, json_: bool, **how: bool) -> None:
    """A new life for every worker, one after the other, each ready before the next. All watchers without NAMES.

    The first new life that fails ends it, and those that are left keep theirs. Example: circus-cg ctl reload web
    """
    asked = {"name": list(names) or None, "match": match, "graceful": not how["terminate"]}
    patience = ROLLING if wait else None
    done(session.call("reload", patience, **asked, sequential=how["sequential"], waiting=wait), json_)


@click.command()
@name_argument
@click.argument("pid", required=False, type=int)
@click.option("--wid", type=int, help="Only the worker with this number.")
@click.option("--signum", "--signal", metavar="SIGNAL", help="Instead of the watcher's stop_signal.")
@click.option("--graceful-timeout", type=Seconds(), metavar="SECONDS", help="Instead of the watcher's own.")
@wait_option
@json_option
@click.pass_obj
def kill(session: Session, /, name: str, wait: bool, json_: bool, **narrower: Any) -> None:
    """End workers, all or one by PID; new ones take their places. Example: circus-cg ctl kill web --wid 2"""
    fields = session.call("kill", name=name, **narrower)
    if wait:
        fields |= session.wait([name], "simple", "up")
    done(fields, json_)


@click.command()
@names_argument
@click.option("--state", type=click.Choice(["up", "down", "gone"]), default="up", show_default=True)
@match_option
@json_option
@click.pass_obj
def wait(session: Session, names: tuple[str, ...], state: str, match: str, json_: bool) -> None:
    """Return when watchers are up (nothing starting or stopping), down or removed. Example: circus-cg ctl wait web"""
    done(session.wait(names, match, state), json_)


@click.command()
@wait_option
@json_option
@click.pass_obj
def quit_(session: Session, wait: bool, json_: bool) -> None:
    """Stop every watcher, then the daemon. Example: circus-cg ctl quit"""
    fields = session.call("quit")
    if wait:
        session.wait_gone()
    done(fields, json_)
