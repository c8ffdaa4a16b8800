"""`circus-cg keys`: whose key may do what, and keys themselves. A running daemon sees every change."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import click

from circus_cg.cli.output import as_json, table
from circus_cg.core.access import Caller, Role, role_of
from circus_cg.errors import CircusCgError
from circus_cg.rpc import curve, keyring
from circus_cg.rpc import keys as spelling
from circus_cg.rpc.keyring import KeyFileError

json_option = click.option("--json", "json_", is_flag=True, help="One JSON document instead of text.")


@click.group()
@click.option(
    "--directory",
    type=click.Path(file_okay=False, path_type=Path),
    envvar="CIRCUS_CG_KEYS",
    help="The daemon's keys, `control.keys` of its configuration.  [default: /etc/circus-cg/keys]",
)
@click.pass_context
def keys(context: click.Context, directory: Path | None) -> None:
    """Who may operate a daemon from afar. Example: circus-cg keys authorize alice.pub --name alice --role operate"""
    context.obj = directory or keyring.server_keys()


@keys.command()
@click.pass_obj
def init(directory: Path) -> None:
    """Make a daemon's own key, and a list of who may come with nobody in it. Example: circus-cg keys init"""
    pair = curve.fresh("server")
    keyring.make_server(directory, pair)
    click.echo(pair.public)


@keys.command()
@click.argument("name")
@click.option("--into", type=click.Path(file_okay=False, path_type=Path), help="Instead of ~/.config/circus-cg.")
def new(name: str, into: Path | None) -> None:
    """Make a key of your own: NAME.key, which never leaves you, and NAME.pub. Example: circus-cg keys new alice"""
    try:
        pair = curve.fresh(spelling.key_name(name))
    except ValueError as wrong:
        raise click.BadParameter(str(wrong), param_hint="NAME") from wrong
    path = keyring.make_client(into or keyring.client_directory(), pair)
    click.echo(f"{path}: yours alone", err=True)
    click.echo(f"{path.with_suffix('.pub')}: for who keeps the daemon's keys", err=True)
    click.echo(pair.public)


@keys.command()
@click.argument("key", metavar="PUBKEY|FILE")
@click.option("--name", required=True, help="Whose key it is; the audit says it.")
@click.option("--role", required=True, type=click.Choice([role.word for role in Role]), help="What it may do.")
@click.option("--watchers", metavar="GLOB[,GLOB...]", help="Only these watchers are there for it. Default: all.")
@click.pass_obj
def authorize(directory: Path, key: str, name: str, role: str, watchers: str | None) -> None:
    """Let a key in. Example: circus-cg keys authorize alice.pub --name alice --role operate --watchers 'web-*'

    An `admin` can run any command as the daemon's user, whatever its watchers are.
    """
    try:
        caller = Caller(spelling.key_name(name), role_of(role), spelling.globs(watchers) if watchers else ())
    except ValueError as wrong:
        raise click.UsageError(str(wrong)) from wrong
    public = _public(key)

    def change(text: str) -> str:
        try:
            return spelling.with_entry(text, public, caller)
        except ValueError as wrong:
            raise KeyFileError(f"cannot authorize {name!r}: {wrong}") from wrong

    keyring.change_authorized(directory, change)


@keys.command()
@click.argument("name")
@click.pass_obj
def revoke(directory: Path, name: str) -> None:
    """Let a key in no more; its open connections end now. Example: circus-cg keys revoke alice"""

    def change(text: str) -> str:
        try:
            return spelling.without(text, name)
        except KeyError:
            raise CircusCgError(f"cannot revoke {name[:64]!r}: no key of that name; `keys list` shows them") from None

    keyring.change_authorized(directory, change)


@keys.command("list")
@json_option
@click.pass_obj
def list_(directory: Path, json_: bool) -> None:
    """Who may come, and for what. Example: circus-cg keys list"""
    path = directory / keyring.AUTHORIZED
    text = keyring.trusted_text(path, f"make it: circus-cg keys --directory {directory} init", secret=False)
    found = spelling.read_authorized(text)
    for line, problem in found.problems:
        click.echo(f"circus-cg: warning: {path}:{line}: {problem}", err=True)
    if json_:
        rows = [
            {"name": caller.name, "role": caller.role.word, "watchers": list(caller.watchers), "key": key}
            for key, caller in found.callers.items()
        ]
        as_json({"keys": rows})
        return
    lines = [(one.name, one.role.word, ",".join(one.watchers) or "all", key) for key, one in found.callers.items()]
    table(("NAME", "ROLE", "WATCHERS", "KEY"), lines)


@keys.command()
@click.argument("name", required=False)
@click.option("--server", is_flag=True, help="The daemon's own.")
@click.pass_obj
def show(directory: Path, name: str | None, server: bool) -> None:
    """Print a public key: the daemon's, or one of your own by NAME. Example: circus-cg keys show --server"""
    if server == (name is not None):
        raise click.UsageError("expected either --server or the NAME of a key of yours")
    if name is None:
        click.echo(keyring.read_server(directory).public)
        return
    try:
        path = keyring.client_directory() / f"{spelling.key_name(name)}.key"
    except ValueError as wrong:
        raise click.BadParameter(str(wrong), param_hint="NAME") from wrong
    click.echo(keyring.read_key(path).public)


def _public(key: str) -> str:
    """The key as typed, in hexadecimal or in other tools' Z85; or what stands in the file of that name."""
    with suppress(ValueError):
        return spelling.public_key(key)
    path = Path(key)
    if len(key) == 40 and not path.exists():
        with suppress(ValueError):
            return curve.from_z85(key)
    try:
        text = path.read_text()  # what is public may come from anybody: the operator says whose it is
        return spelling.read_public(text) if "public" in text else spelling.public_key(text)
    except (OSError, UnicodeDecodeError, ValueError) as wrong:
        cause = wrong.strerror if isinstance(wrong, OSError) else wrong
        raise KeyFileError(
            f"cannot read a public key from {key[:80]!r}: {cause}; expected 64 hexadecimal digits, or a .pub file"
        ) from wrong
