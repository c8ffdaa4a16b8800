"""`circus-cg run`: check everything while nothing runs, then become the keeper."""

from __future__ import annotations

import os
import resource
import signal
import sys
from collections.abc import Iterable
from pathlib import Path

import click
from msgspec.structs import replace

from circus_cg.arbiter.boot import Source, encode
from circus_cg.arbiter.ground import (
    audit_path,
    claim,
    clean_environment,
    open_network,
    refuse_a_keeper,
    refuse_a_live_tree,
    survey,
)
from circus_cg.config import loader
from circus_cg.config.findings import told
from circus_cg.errors import HostError
from circus_cg.host import dirs, pidfile, scope
from circus_cg.keeper import door, image, log
from circus_cg.keeper.boot import arbiter_command, become_keeper, is_keeper, sealed
from circus_cg.keeper.succession import HELD_BACK


@click.command()
@click.argument("config", type=click.Path(dir_okay=False))
@click.option("--name", envvar="CIRCUS_CG_NAME", help="The daemon's name, instead of the configuration's.")
@click.option("--cgroup-root", envvar="CIRCUS_CG_ROOT", help="Path below each hierarchy's mount, `/` for its root.")
def run(config: str, name: str | None, cgroup_root: str | None) -> None:
    """Run a configuration in the foreground; SIGTERM and SIGINT stop it. Example: circus-cg run shop.yaml"""
    _open_standard_streams()
    loaded = loader.load_with_notices(Path(config))
    spec = loader.override(loaded.spec, name=name, cgroup_root=cgroup_root)
    if spec.cgroup_root is None and not dirs.is_locked(dirs.of(spec.name)):
        scope.enter(spec.name, refuse_a_keeper)  # which begins anew: nothing was said yet
    _warn(told(loaded.notices))
    ground = survey(spec)
    _warn(ground.warnings)
    places = dirs.of(spec.name)
    nofile = _raise_nofile()
    source = Source(path=os.path.abspath(config), name=name, cgroup_root=cgroup_root, cwd=_working_directory())
    record = replace(ground.record(nofile, places), source=source)
    encode(record)  # what can't be handed on is refused while nothing is made
    dirs.make(places)
    lock = dirs.lock(places, spec.name)
    refuse_a_live_tree(ground.tree)
    network, listener = open_network(spec.control)
    # From here on something of ours exists: a signal is heard by the keeper, which clears it away at a stop.
    signal.pthread_sigmask(signal.SIG_BLOCK, HELD_BACK)
    _log_to(spec.logoutput)
    with pidfile.written(spec.pidfile, is_keeper):
        claim(ground, joining=True)
        boot = sealed("circus-cg-arbiter-boot", encode(replace(record, network=network)))
        taken = image.take()
        become_keeper(
            {
                **({} if spec.pidfile is None else {"pidfile": spec.pidfile}),
                "loglevel": spec.loglevel,
                "logoutput": spec.logoutput,
                "instance": os.urandom(16).hex(),
                "arbiter": {"argv": arbiter_command(sys.executable), "env": clean_environment()},
                "pass_fds": [boot, taken.fd, *listener],
                "image": taken.record(),
                "audit": audit_path(spec.control, places),
                "keep_fds": [lock],
                "places": ground.tree.places(),
                "control": {"fd": door.listen(str(places.keeper)), "path": str(places.keeper)},
                "source": {
                    "python": sys.executable,
                    "config": source.path,
                    "cwd": source.cwd,
                    "name": name,
                    "cgroup_root": cgroup_root,
                    "nofile": nofile,
                },
            }
        )


def _working_directory() -> str:
    """An upgrade begins in it too. Raises HostError."""
    try:
        return os.getcwd()
    except OSError as gone:  # removed while we are in it
        text = f"cannot use the working directory: {gone.strerror}; start the daemon in another one"
        raise HostError(text) from gone


def _log_to(path: str | None) -> None:
    """Tried here, while somebody reads what is wrong. Raises HostError."""
    if path is None:
        return
    try:
        dirs.refuse_a_shared_directory(Path(path), "log")
        log.to_file(path)
    except OSError as refused:
        raise HostError(f"cannot write the log {path}: {refused.strerror}; name another file") from refused


def _warn(lines: Iterable[str]) -> None:
    for line in lines:
        click.echo(f"circus-cg: warning: {line}", err=True)


def _open_standard_streams() -> None:
    """Descriptors 0 to 2 must be there, or the next file opened would take their place and be written to."""
    for fd in (0, 1, 2):
        try:
            os.fstat(fd)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest free number: this one


def _raise_nofile() -> tuple[int, int]:
    """A descriptor or two a worker: ask for all we may have; workers get back what we were given."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return soft, hard
