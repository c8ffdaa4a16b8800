"""exec."""

from __future__ import annotations

import sys
from base64 import b64decode

import click

from circus_cg.cli.ctl.parameters import json_option, name_argument
from circus_cg.cli.ctl.seconds import LONGEST, Seconds
from circus_cg.cli.ctl.session import Session
from circus_cg.cli.output import as_json

TIMED_OUT = 124  # as timeout(1)
SIGNALLED = 128  # and the signal's number, as a shell
MORE = 25.0  # seconds beyond the command's own for it to be begun and, if it must, killed


@click.command("exec")
@name_argument
@click.argument("cmd", nargs=-1, required=True)
@click.option(
    "--timeout", type=Seconds(LONGEST), default=60.0, metavar="SECONDS", help="Then it is killed; 60 s by default."
)
@json_option
@click.pass_obj
def exec_(session: Session, name: str, cmd: tuple[str, ...], timeout: float, json_: bool) -> None:
    """Run a command in a worker's group: with its user, environment and limits. NAME is WATCHER or WATCHER.WID.

    It can't read standard input; of each stream 256 KiB come back. Exit status: the command's own, 124 when the time
    was over, 128 and its number for a signal. Example: circus-cg ctl exec web.2 -- cat /proc/self/cgroup
    """
    fields = session.call("exec", timeout + MORE, name=name, cmd=list(cmd), timeout=timeout)
    streams = {key: b64decode(fields[key]) for key in ("stdout", "stderr")}
    if json_:
        as_json({**fields, **{key: body.decode(errors="backslashreplace") for key, body in streams.items()}})
    else:
        sys.stdout.buffer.write(streams["stdout"])
        sys.stdout.flush()
        sys.stderr.buffer.write(streams["stderr"])
        sys.stderr.flush()
        if fields["dropped"]:
            click.echo(f"circus-cg: {fields['dropped']} bytes of its output were dropped", err=True)
    if fields["timed_out"]:
        click.echo(f"circus-cg: killed: not done in {timeout:g} s; --timeout waits longer", err=True)
        sys.exit(TIMED_OUT)
    sys.exit(fields["code"] if fields["signal"] is None else SIGNALLED + fields["signal"])
