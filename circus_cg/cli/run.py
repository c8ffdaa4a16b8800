"""`circus-cg run`: check everything while nothing runs, then become the keeper."""

from __future__ import annotations

import os
import resource
import signal
import sys
import uuid
from pathlib import Path

import click
import msgspec

from circus_cg.arbiter.boot import ArbiterBoot
from circus_cg.cgroup import check, hierarchy, limits
from circus_cg.cgroup.hierarchy import Layout
from circus_cg.cgroup.tree import Tree
from circus_cg.config import loader
from circus_cg.config.findings import told
from circus_cg.errors import AlreadyRunning, HostError
from circus_cg.host import dirs, identity
from circus_cg.keeper.boot import become_keeper, is_keeper, sealed
from circus_cg.spec import ArbiterSpec

HIDDEN = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES")


@click.command()
@click.argument("config", type=click.Path(dir_okay=False))
@click.option("--name", envvar="CIRCUS_CG_NAME", help="The daemon's name, instead of the configuration's.")
@click.option("--cgroup-root", envvar="CIRCUS_CG_ROOT", help="Path below each hierarchy's mount, `/` for its root.")
def run(config: str, name: str | None, cgroup_root: str | None) -> None:
    """Run a configuration in the foreground; SIGTERM and SIGINT stop it. Example: circus-cg run shop.yaml"""
    _open_standard_streams()
    loaded = loader.load_with_notices(Path(config))
    for line in told(loaded.notices):
        click.echo(f"circus-cg: warning: {line}", err=True)
    spec = loader.override(loaded.spec, name=name, cgroup_root=cgroup_root)
    identities = {watcher.name: identity.resolve(watcher) for watcher in spec.watchers}
    layout = hierarchy.find(spec.cgroup_root)
    _refuse_what_the_host_lacks(spec, layout)
    places = dirs.of(spec.name)
    dirs.make(places)
    lock = dirs.lock(places, spec.name)
    tree = Tree(layout, spec.name)
    _refuse_a_live_tree(tree)
    # From here on something of ours exists: a stop is heard by the keeper, which clears it away.
    signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGTERM, signal.SIGINT))
    tree.kill_stale()
    wanted = [limits.controllers(which) for w in spec.watchers for which in (w.limits, w.watcher_limits)]
    controllers = frozenset({"memory"}).union(*wanted)
    tree.prepare(controllers)
    nofile = _raise_nofile()
    record = ArbiterBoot(
        spec=spec,
        layout=layout,
        identities=identities,
        environment=_clean_environment(),
        nofile=nofile,
        oom_score_adj=int(Path("/proc/self/oom_score_adj").read_text()),
        runtime=str(places.runtime),
        state=str(places.state),
    )
    boot = sealed("circus-cg-arbiter-boot", msgspec.json.encode(record))
    become_keeper(
        {
            "instance": uuid.uuid4().hex,
            "arbiter": {
                "argv": [sys.executable, "-P", "-m", "circus_cg.arbiter.main", str(boot)],
                "env": _clean_environment(),
            },
            "pass_fds": [boot],
            "keep_fds": [lock],
            "places": tree.places(controllers),
        }
    )


def _refuse_what_the_host_lacks(spec: ArbiterSpec, layout: Layout) -> None:
    errors = []
    for watcher in spec.watchers:
        for which, wanted in (("limits", watcher.limits), ("watcher_limits", watcher.watcher_limits)):
            for finding in check.check(layout, wanted):
                text = f"{watcher.name}.{which}: {finding.text}"
                if finding.severity == "error" and spec.on_missing == "refuse":
                    errors.append(text)
                else:
                    click.echo(f"circus-cg: warning: {text}", err=True)
    if errors:
        raise HostError("\n".join([*errors, "`on_missing: warn` runs without what this host can't enforce"]))


def _open_standard_streams() -> None:
    """Descriptors 0 to 2 must be there, or the next file opened would take their place and be written to."""
    for fd in (0, 1, 2):
        try:
            os.fstat(fd)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest free number: this one


def _refuse_a_live_tree(tree: Tree) -> None:
    """The lock belongs to a runtime directory, the groups to the host: a daemon with another one may live in them.

    What a keeper that was killed left behind is no daemon, and is cleared away.
    """
    if pids := [pid for pid in tree.daemon_pids() if is_keeper(pid)]:
        raise AlreadyRunning(
            f"cannot run {tree.name!r}: a daemon of that name lives in its groups (pid {pids[0]}) with another"
            " runtime directory; stop that one, or choose another --name"
        )


def _clean_environment() -> dict[str, str]:
    """systemd's words are for the keeper alone."""
    return {key: value for key, value in os.environ.items() if key not in HIDDEN}


def _raise_nofile() -> tuple[int, int]:
    """A descriptor or two a worker: ask for all we may have; workers get back what we were given."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return soft, hard
