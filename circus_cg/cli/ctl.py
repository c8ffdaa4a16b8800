"""`circus-cg ctl`: talk to a running daemon over its local endpoint."""

from __future__ import annotations

import re
from contextlib import suppress
from typing import Any

import click

from circus_cg.cli.output import as_json, table
from circus_cg.cli.upgrade import upgrade
from circus_cg.errors import NotRunning, TimedOut
from circus_cg.host import clock, dirs
from circus_cg.rpc.client import Client
from circus_cg.units import format_bytes, format_seconds

json_option = click.option("--json", "json_", is_flag=True, help="One JSON document instead of text.")
wait_option = click.option("--wait/--no-wait", default=True, show_default=True, help="Return when it is done.")
watcher_argument = click.argument("watcher", required=False)
WAIT_SLICE = 5.0  # seconds of waiting before the question is put again; a stop may take as long as its graceful_timeout


NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}")  # it becomes part of a path


class Session:
    def __init__(self, name: str, timeout: float) -> None:
        if not NAME.fullmatch(name):
            raise click.BadParameter(f"{name!r} is no daemon's name", param_hint="--name")
        self.name = name
        self.dirs = dirs.of(name)
        self._client = Client(self.dirs.endpoint, timeout)

    def call(self, command: str, timeout: float | None = None, **properties: Any) -> dict[str, Any]:
        """Raises NotRunning at once when nobody holds the name: a socket may outlive a killed daemon."""
        try:
            alive = dirs.is_locked(self.dirs)
        except PermissionError as refused:
            raise NotRunning(f"cannot reach daemon {self.name!r}: {self.dirs.runtime} is another user's") from refused
        if not alive:
            raise NotRunning(f"cannot {command}: no daemon {self.name!r} is running; start it: circus-cg run CONFIG")
        return self._client.call(command, timeout, **properties)

    def wait(self, watcher: str | None, state: str) -> dict[str, Any]:
        """The statuses, when the watchers are `up` or `down`. Asked again and again: an arbiter may die meanwhile."""
        while True:
            with suppress(TimedOut):
                return self.call("wait", WAIT_SLICE, name=watcher, state=state)


@click.group()
@click.option("--name", default="default", show_default=True, envvar="CIRCUS_CG_NAME", help="The daemon's name.")
@click.option("--timeout", default=5.0, show_default=True, help="Seconds to wait for an answer.")
@click.pass_context
def ctl(context: click.Context, name: str, timeout: float) -> None:
    """Operate a running daemon. Example: circus-cg ctl --name shop ps"""
    context.obj = Session(name, timeout)


@ctl.command()
@watcher_argument
@json_option
@click.pass_obj
def ps(session: Session, watcher: str | None, json_: bool) -> None:
    """One row a worker. Example: circus-cg ctl ps web"""
    workers = session.call("ps", name=watcher)["workers"]
    if json_:
        as_json({"workers": workers})
        return
    headings = (
        "WATCHER",
        "WID",
        "GEN",
        "PID",
        "PHASE",
        "UP",
        "RESTARTS",
        "LAST EXIT",
        "MEMORY",
        "PEAK",
        "CPU",
        "CGROUP",
    )
    table(headings, [_ps_row(row) for row in workers])


@ctl.command()
@watcher_argument
@json_option
@click.pass_obj
def status(session: Session, watcher: str | None, json_: bool) -> None:
    """active, starting, stopping or stopped, for one watcher or all. Example: circus-cg ctl status"""
    reply = session.call("status", name=watcher)
    statuses = {watcher: reply["status"]} if watcher else reply["statuses"]
    if json_:
        as_json({"statuses": statuses})
    else:
        table(("WATCHER", "STATUS"), list(statuses.items()))


def _verb(verb: str, does: str) -> None:
    @ctl.command(verb, help=f"{does}, one watcher or all. Example: circus-cg ctl {verb} web")
    @watcher_argument
    @wait_option
    @json_option
    @click.pass_obj
    def command(session: Session, watcher: str | None, wait: bool, json_: bool) -> None:
        reply = session.call(verb, name=watcher)
        if wait:
            reply = session.wait(watcher, "down" if verb == "stop" else "up")
        _done(reply, json_)


_verb("start", "Start")
_verb("stop", "Stop: signal, graceful_timeout, then kill the whole group")
_verb("restart", "Stop and start again")


def _counting(verb: str, does: str) -> None:
    @ctl.command(verb, help=f"{does} workers of a watcher. Example: circus-cg ctl {verb} web 2")
    @click.argument("watcher")
    @click.argument("nb", default=1, type=click.IntRange(min=0))
    @wait_option
    @json_option
    @click.pass_obj
    def command(session: Session, watcher: str, nb: int, wait: bool, json_: bool) -> None:
        reply = session.call(verb, name=watcher, nb=nb)
        if wait:
            reply |= {"statuses": session.wait(watcher, "up")["statuses"]}
        if json_:
            _done(reply, json_)
        else:
            click.echo(f"{watcher}: {reply['numprocesses']} workers")


_counting("incr", "Add")
_counting("decr", "Take away")


@ctl.command("signal")
@click.argument("watcher")
@click.argument("signum")
@click.option("--wid", type=int, help="Only the worker with this number.")
@json_option
@click.pass_obj
def send_signal(session: Session, watcher: str, signum: str, wid: int | None, json_: bool) -> None:
    """Send a signal to the workers of a watcher. Example: circus-cg ctl signal web HUP --wid 1"""
    number: int | str = int(signum) if signum.isdigit() else signum
    reply = session.call("signal", name=watcher, signum=number, wid=wid)
    if json_:
        _done(reply, json_)
    else:
        click.echo(f"{watcher}: {reply['signal']} sent to {', '.join(map(str, reply['signalled']))}")


@ctl.command("quit")
@wait_option
@json_option
@click.pass_obj
def quit_(session: Session, wait: bool, json_: bool) -> None:
    """Stop every watcher, then the daemon. Example: circus-cg ctl quit"""
    reply = session.call("quit")
    if wait:
        dirs.wait_unlocked(session.dirs)
    _done(reply, json_)


ctl.add_command(upgrade)


def _done(reply: dict[str, Any], json_: bool) -> None:
    fields = {key: value for key, value in reply.items() if key not in ("id", "time")}
    if json_:
        as_json(fields)
    elif "statuses" in fields:
        table(("WATCHER", "STATUS"), list(fields["statuses"].items()))
    else:
        click.echo("ok")


def _ps_row(row: dict[str, Any]) -> tuple[str, ...]:
    last = row["last_exit"]
    up = "-" if row["started"] is None else format_seconds(max(0.0, clock.wall() - row["started"]))
    cpu = "-" if row["cpu_seconds"] is None else f"{row['cpu_seconds']:.2f}s"
    return (
        row["watcher"],
        str(row["wid"]),
        str(row["generation"]),
        str(row["pid"] or "-"),
        row["phase"],
        up,
        str(row["restarts"]),
        "-" if last is None else _reason(last),
        _size(row["memory_current"]),
        _size(row["memory_peak"]),
        cpu,
        row["cgroup"] or "-",
    )


def _reason(last: dict[str, Any]) -> str:
    if last["code"] is not None:
        return f"{last['reason']} {last['code']}"
    return f"{last['reason']} signal {last['signal']}" if last["signal"] is not None else str(last["reason"])


def _size(value: int | None) -> str:
    return "-" if value is None else format_bytes(value)
