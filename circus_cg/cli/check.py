"""`circus-cg check`: is the text right, and does this host have what it asks for?"""

from __future__ import annotations

from pathlib import Path

import click

from circus_cg.arbiter.ground import findings, variables
from circus_cg.cgroup import hierarchy
from circus_cg.cli.output import as_json
from circus_cg.config import loader
from circus_cg.config.findings import Kind, Notice, refusal, told
from circus_cg.errors import ConfigError, HostError
from circus_cg.host import scope
from circus_cg.host.facts import host_warnings
from circus_cg.rpc import keyring
from circus_cg.spec import ArbiterSpec


@click.command()
@click.argument("config", type=click.Path())
@click.option("--json", "json_", is_flag=True, help='Print {"ok", "problems", "warnings"} for a program.')
@click.option("--strict", is_flag=True, help="A key of circus.ini that nobody knows is a mistake.")
@click.option("--cgroup-root", envvar="CIRCUS_CG_ROOT", help="Instead of the configuration's, as for `run`.")
@click.pass_context
def check(ctx: click.Context, config: str, json_: bool, strict: bool, cgroup_root: str | None) -> None:
    """Tell all mistakes of a configuration; warn about this host. Example: circus-cg check shop.yaml

    A file that ends in .ini is circus's: what is not as circus has it is a warning as well.
    Exit status 0: the text is right, whatever the warnings say. 2: it is wrong.
    """
    try:
        loaded = loader.load_with_notices(Path(config))
        if strict:
            _refuse_the_unknown(loaded.notices)
        spec = loader.override(loaded.spec, name=None, cgroup_root=cgroup_root)
    except ConfigError as wrong:
        if not json_:
            raise
        as_json({"ok": False, "problems": wrong.problems, "warnings": []})
        ctx.exit(wrong.exit_status)
    warnings = [*told(loaded.notices), *_host_warnings(spec), *_limit_warnings(spec), *_key_warnings(spec)]
    if json_:
        as_json({"ok": True, "problems": [], "warnings": warnings})
        return
    for line in warnings:
        click.echo(f"circus-cg: warning: {line}", err=True)
    click.echo(f"{config}: {_summary(spec)}, {len(warnings)} warning{'' if len(warnings) == 1 else 's'}")


def _refuse_the_unknown(notices: tuple[Notice, ...]) -> None:
    if lines := told(one for one in notices if one.kind is Kind.UNKNOWN):
        raise refusal(lines)


def _host_warnings(spec: ArbiterSpec) -> list[str]:
    known, found = {}, []
    for watcher in spec.watchers:
        try:
            known[watcher.name] = variables(watcher)
        except HostError as wrong:
            found += str(wrong).splitlines()
    return found + host_warnings(spec, known)


def _limit_warnings(spec: ArbiterSpec) -> list[str]:
    """What this host can't enforce or grant, or only approximately: what `run` would refuse or warn about."""
    try:
        root = spec.cgroup_root
        layout = hierarchy.find(scope.above() if root is None and scope.is_asked_for() else root)
    except HostError as missing:
        return [str(missing)]
    return [
        f"watcher {watcher.name!r}: {text}"
        for watcher in spec.watchers
        for _severity, text in findings(watcher, layout, spec.watchers)
    ]


def _key_warnings(spec: ArbiterSpec) -> list[str]:
    """Without its keys a daemon that is to listen would not start."""
    if spec.control.tcp is None:
        return []
    directory = Path(spec.control.keys) if spec.control.keys else keyring.server_keys()
    try:
        keyring.read_server(directory)
        keyring.trusted_text(directory / keyring.AUTHORIZED, "circus-cg keys init makes one", secret=False)
    except keyring.KeyFileError as wrong:
        return [str(wrong)]
    return []


def _summary(spec: ArbiterSpec) -> str:
    watchers, workers = len(spec.watchers), sum(watcher.numprocesses for watcher in spec.watchers)
    return (
        f"ok, daemon {spec.name!r} with {watchers} watcher{'' if watchers == 1 else 's'}"
        f" and {workers} worker{'' if workers == 1 else 's'}"
    )
