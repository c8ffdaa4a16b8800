"""events, listen."""

from __future__ import annotations

import sys
from datetime import datetime
from typing import Any

import click

from circus_cg.cli.ctl.parameters import json_option, watchers_option
from circus_cg.cli.ctl.seconds import Seconds
from circus_cg.cli.ctl.session import Session
from circus_cg.cli.ctl.watching import Document, Interrupt
from circus_cg.cli.output import as_json, coloured
from circus_cg.host import clock
from circus_cg.rpc.subscriber import Subscriber, heard

COLOURS = {"exit": "yellow", "failed": "red", "stuck": "red", "flapping": "yellow", "ready": "green"}


@click.command()
@click.option("--follow", "-f", is_flag=True, help="Go on with what happens, until Ctrl-C.")
@watchers_option("Only of these; repeatable.")
@click.option("--kind", "-k", "kinds", multiple=True, help="Only of these kinds: exit, ready, failed, ...; repeatable.")
@click.option("--since", type=int, metavar="SEQ", help="What came after the event of that number.")
@click.option(
    "--limit", type=click.IntRange(1, 10_000), default=100, show_default=True, help="At most so many, without --follow."
)
@click.option("--stats", type=Seconds(), metavar="SECONDS", help="With --follow: what workers use, too, so often.")
@json_option
@click.pass_obj
def events(session: Session, /, follow: bool, json_: bool, **asked: Any) -> None:
    """What happened to workers and watchers, and why. Example: circus-cg ctl events --follow --watcher 'web*'

    Each has a number; --since goes on after it. Where some are lost, a line says how many: across an arbiter's death
    that can't be known.
    """
    names, kinds = list(asked["watchers"]) or None, list(asked["kinds"]) or None
    if not follow:
        if asked["stats"] is not None:
            raise click.UsageError("--stats needs --follow")
        found = session.call("events", name=names, kinds=kinds, since=asked["since"], limit=asked["limit"])
        if json_:
            as_json(found)
        else:
            _show(found)
        return
    with Interrupt() as interrupt:
        subscriber = Subscriber(
            session.client.dial, clock.now, lambda: session.refuse_a_dead_daemon("follow events"), interrupt.fd
        )
        for pushed in subscriber.follow(name=names, kinds=kinds, since=asked["since"], stats=asked["stats"]):
            if json_:
                as_json(pushed)
            elif "stats" in pushed:
                _show_stats(pushed)
            else:
                _show(pushed)
            sys.stdout.flush()


@click.command()
@click.argument("topics", nargs=-1)
@json_option
@click.pass_obj
def listen(session: Session, topics: tuple[str, ...], json_: bool) -> None:
    """What circus's clients hear: each message's topic and JSON, until Ctrl-C. `events` tells more.

    TOPICS are their beginnings, such as `watcher.web.` or `stat.`; all without.
    Example: circus-cg ctl listen watcher.
    """
    session.here_only("listen", "what circus's clients hear is local; use events --follow")
    endpoint = session.call("globaloptions", option="pubsub_endpoint")["options"]["pubsub_endpoint"]
    with Interrupt() as interrupt:
        for topic, body in heard(endpoint, topics or ("",), interrupt.fd):
            click.echo(f'{{"topic": "{topic}", "message": {body}}}' if json_ else f"{topic}: {body}")
            sys.stdout.flush()


def _show(found: Document) -> None:
    if found["lost"] is None:
        click.echo(
            coloured(click.style("-- the events before were another arbiter's; some may be missing", fg="yellow"))
        )
    elif found["lost"]:
        click.echo(coloured(click.style(f"-- {found['lost']} events are lost", fg="yellow")))
    for event in found["events"]:
        show_event(event)


def show_event(event: Document) -> None:
    """One line."""
    click.echo(coloured(_line(event)))


def _line(event: dict[str, Any]) -> str:
    at = datetime.fromtimestamp(event["at"]).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]
    who = event["watcher"] if event["wid"] is None else f"{event['watcher']}.{event['wid']}"
    kind = click.style(f"{event['kind']:<8}", fg=COLOURS.get(event["kind"]))
    verdict = f"{event['verdict']}: " if event.get("verdict") else ""
    return f"{at}  {event['seq']}  {who:<16}  {kind}  {verdict}{event['detail']}".rstrip()


def _show_stats(pushed: Document) -> None:
    """A line a watcher; --json has the workers too."""
    at = datetime.fromtimestamp(pushed["time"]).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]
    for name, found in pushed["stats"].items():
        total = found["total"]
        used = ", ".join(f"{key} {total[key]}" for key in ("cpu", "memory_current", "pids") if total[key] is not None)
        click.echo(f"{at}  {name:<16}  usage     {len(found['workers'])} workers, {used}")
