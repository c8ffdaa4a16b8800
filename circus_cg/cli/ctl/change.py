"""add, rm, set, revert."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from typing import Any

import click

from circus_cg.cli.ctl.done import done
from circus_cg.cli.ctl.parameters import json_option, name_argument, names_argument, wait_option
from circus_cg.cli.ctl.session import Session

force_option = click.option(
    "--force", is_flag=True, help="Limits below what is used now, too: the kernel reclaims, or kills."
)

STDIN = "-"  # a secret's way in: an argument is there for everybody to see
STREAMS = {"stdout", "stderr"}  # whose `null` is a word of the configuration: /dev/null


@click.command()
@click.argument("name")
@click.argument("cmd", nargs=-1, required=True)
@click.option("--start", is_flag=True, help="Start it at once.")
@click.option("-o", "--option", "options", multiple=True, metavar="KEY=VALUE", help="As in configuration; repeatable.")
@wait_option
@json_option
@click.pass_obj
def add(session: Session, /, name: str, cmd: tuple[str, ...], *, wait: bool, json_: bool, **given: Any) -> None:
    """Add a watcher; it lasts as long as the daemon. CMD is one text, or words after `--`.

    Example: circus-cg ctl add web --start -o limits.memory_max=64M -- python3 -m http.server
    """
    options = pairs(given["options"])
    words = cmd[0] if len(cmd) == 1 else list(cmd)
    fields = session.call("add", name=name, cmd=words, options=options, start=given["start"])
    if wait and given["start"]:
        fields |= session.wait([name], "simple", "up")
    done(fields, json_)


@click.command()
@names_argument
@click.option("--nostop", is_flag=True, help="Refused: a worker always has a supervisor.")
@wait_option
@json_option
@click.pass_obj
def rm(session: Session, names: tuple[str, ...], nostop: bool, wait: bool, json_: bool) -> None:
    """Stop watchers and forget them until the daemon's next start. Example: circus-cg ctl rm web"""
    if not names:
        raise click.UsageError("cannot remove: no watcher was named; `list` shows them")
    for name in names:
        session.call("rm", name=name, nostop=nostop)
    if wait:
        for name in names:
            session.wait([name], "simple", "gone")
    done({}, json_)


@click.command("set")
@name_argument
@click.argument("words", nargs=-1, required=True, metavar="KEY=VALUE... or KEY VALUE...")
@click.option("--persist", is_flag=True, help="Beyond the daemon's end, over its configuration; until `revert`.")
@force_option
@wait_option
@json_option
@click.pass_obj
def set_(session: Session, /, name: str, words: tuple[str, ...], *, wait: bool, json_: bool, **how: bool) -> None:
    """Change options of a watcher; where a worker must be born with one, its workers are renewed.

    Limits are changed where workers run. Keys below the top are dotted. VALUE `-` is read from standard input, `null`
    is the default; but /dev/null for stdout and stderr, whose default is `inherit`.

    Example: circus-cg ctl set web limits.memory_max=128M watcher_limits.cpu_max=1.5
    """
    fields = session.call("set", name=name, options=pairs(words), **how)
    _tell_of_changes(session, name, fields, wait, json_)


@click.command()
@name_argument
@click.argument("keys", nargs=-1)
@force_option
@wait_option
@json_option
@click.pass_obj
def revert(  # noqa: PLR0913 - click's parameters
    session: Session, name: str, keys: tuple[str, ...], *, force: bool, wait: bool, json_: bool
) -> None:
    """Options of a watcher as they are configured again: KEYS, or all; `set --persist` is forgotten.

    Example: circus-cg ctl revert web limits.memory_max
    """
    fields = session.call("revert", name=name, keys=list(keys) or None, force=force)
    _tell_of_changes(session, name, fields, wait, json_)


def _tell_of_changes(session: Session, name: str, fields: dict[str, Any], wait: bool, json_: bool) -> None:
    if wait:
        fields |= {"statuses": session.wait([name], "simple", "up")["statuses"]}
    if json_:
        done(fields, json_)
        return
    how = "workers renewed" if fields["action"] == 1 else "workers kept"
    changed = f"{name}: {', '.join(fields['changed'])} changed, {how}" if fields["changed"] else "nothing changed"
    kept = fields.get("lasting")
    click.echo(f"{changed}; kept beyond the daemon: {', '.join(kept)}" if kept else changed)


def pairs(words: Iterable[str]) -> dict[str, Any]:
    """`KEY=VALUE` and `KEY VALUE`, mixed."""
    found: dict[str, Any] = {}
    rest = iter(words)
    for word in rest:
        key, equals, value = word.partition("=")
        if not equals:
            following = next(rest, None)
            if following is None:
                raise click.UsageError(f"option {key!r} has no value; expected KEY=VALUE")
            value = following
        found[key] = _value(key, value)
    return found


def _value(key: str, text: str) -> Any:
    """Text, as in configuration; JSON where it is a list or a mapping."""
    if text == STDIN:
        return sys.stdin.read().removesuffix("\n")
    if text == "null" and key not in STREAMS:
        return None
    if text[:1] not in ("[", "{"):
        return text
    try:
        return json.loads(text)
    except ValueError as wrong:
        raise click.UsageError(f"the value of {key!r} is no JSON: {wrong}") from wrong
