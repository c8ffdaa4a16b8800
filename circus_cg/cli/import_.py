"""`circus-cg import`: circus.ini becomes YAML that means the same."""

from __future__ import annotations

import os
from collections import defaultdict
from pathlib import Path as File

import click

from circus_cg.config import export, loader, native
from circus_cg.config.findings import Kind, told
from circus_cg.config.problems import Path
from circus_cg.errors import ConfigError
from circus_cg.spec import ArbiterSpec


@click.command("import")
@click.argument("config", type=click.Path(dir_okay=False))
@click.option("--output", "-o", type=click.Path(), help="A new file, for its owner alone; without it, standard output.")
def import_(config: str, output: str | None) -> None:
    """Write the YAML that means the same as a circus.ini. Example: circus-cg import circus.ini -o shop.yaml

    What has no equivalent is told on standard error, and in comments. Included files become part of the one written;
    variables are replaced by what they are here and now.
    """
    loaded = loader.load_ini(File(config), os.environ)
    text = _text(loaded.spec, _comments(config, loaded), config)
    if output is None:
        click.echo(text, nl=False)
    else:
        _write(output, text)
    lines = told(loaded.notices)
    for line in lines:
        click.echo(f"circus-cg: warning: {line}", err=True)
    watchers = len(loaded.spec.watchers)
    click.echo(
        f"{config}: {watchers} watcher{'' if watchers == 1 else 's'} written,"
        f" {len(lines)} warning{'' if len(lines) == 1 else 's'}; circus-cg check judges the result",
        err=True,
    )


def _text(spec: ArbiterSpec, comments: export.Comments, config: str) -> str:
    """Raises ConfigError if what was written would not be read as `spec`."""
    try:
        text = export.write(spec, comments)
        same = native.read(text, f"{config} as YAML", os.environ) == spec
    except ConfigError as wrong:
        raise ConfigError([f"{config}: cannot write as YAML: {line}" for line in wrong.problems]) from wrong
    except ValueError as wrong:
        raise ConfigError([f"{config}: cannot write as YAML: {wrong}"]) from wrong
    if not same:
        raise ConfigError([f"{config}: cannot write as YAML: it would be read as something else; report this file"])
    return text


def _comments(config: str, loaded: loader.Loaded) -> dict[Path, list[str]]:
    comments: dict[Path, list[str]] = defaultdict(list)
    comments[()].append(f"From {File(config).name}, by circus-cg import.")
    here = loader.working_directory()
    if any(watcher.working_dir == here for watcher in loaded.spec.watchers):
        comments[()].append(f"A working_dir of {here} is where that was run: circus.ini sets none.")
    for one in loaded.notices:
        if one.kind in (Kind.NOT_YET, Kind.NEVER):
            path: Path = () if one.watcher is None else ("watchers", one.watcher)
            place = f"line {one.line}" if one.file == str(File(config)) else str(one.place)
            comments[path].append(f"{place}: {one.text}")
    return comments


def _write(output: str, text: str) -> None:
    """Never over an existing file: it may be the one that is running."""
    try:
        fd = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        raise ConfigError([f"{output}: cannot write: it is there already; remove it or name another"]) from None
    except (OSError, ValueError) as wrong:
        cause = wrong.strerror if isinstance(wrong, OSError) else str(wrong)
        raise ConfigError([f"{output}: cannot write: {cause}; name another file"]) from wrong
    with open(fd, "w", encoding="utf-8") as file:
        file.write(text)
