"""`circus-cg install-unit`: a systemd unit that runs a configuration, right for a daemon with groups of its own."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from circus_cg.config import loader
from circus_cg.core import order
from circus_cg.host import unit


@click.command("install-unit")
@click.option(
    "--config", required=True, type=click.Path(dir_okay=False), help="The configuration that the service runs."
)
@click.option("--name", help="The daemon's name, instead of the configuration's.")
@click.option("--print", "print_", is_flag=True, help="Print the unit and change nothing.")
@click.option("--enable", is_flag=True, help="Start it now and at each boot.")
def install_unit(config: str, name: str | None, print_: bool, enable: bool) -> None:
    """Install circus-cg-NAME.service. Example: circus-cg install-unit --config /etc/circus-cg/shop.yaml --enable

    As root for the whole system, else for the user's own service manager. Run again, it brings the unit up to date; a
    running service is left running.
    """
    if print_ and enable:
        raise click.UsageError("--print changes nothing, --enable does: give one of them.")
    spec = loader.override(loader.load(Path(config)), name=name, cgroup_root=None)
    path = os.path.abspath(config)
    user = os.geteuid() != 0
    command = [*_program(), "run", path, *(["--name", name] if name else [])]
    reload = [*_program(), "ctl", "--name", spec.name, "upgrade"]
    content = unit.text(spec.name, command, reload, user=user, longest_stop=order.longest_stop(spec.watchers))
    if print_:
        click.echo(content, nl=False)
        return
    target = unit.directory(user=user) / unit.unit(spec.name)
    done = "installed" if unit.write(target, content) else "up to date"
    unit.systemctl("daemon-reload", user=user)
    if enable:
        unit.systemctl("enable", "--now", target.name, user=user)
        done += ", enabled and running"
    click.echo(f"{click.format_filename(target)}: {done}")


def _program() -> list[str]:
    """This very installation, whatever the service's PATH is."""
    script = Path(sys.executable).with_name("circus-cg")
    return [str(script)] if os.access(script, os.X_OK) else [sys.executable, "-P", "-m", "circus_cg"]
