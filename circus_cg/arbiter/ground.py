"""Where a configuration is to run: surveyed and refused while nothing exists, then claimed; for `run` and library."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from msgspec.structs import replace

from circus_cg.arbiter.boot import ArbiterBoot, Network
from circus_cg.cgroup import check, hierarchy, limits, real_time
from circus_cg.cgroup.hierarchy import Layout
from circus_cg.cgroup.tree import Tree
from circus_cg.config import env_files
from circus_cg.errors import AlreadyRunning, CgroupError, ConfigError, HostError
from circus_cg.host import clock, identity, listening, privileges
from circus_cg.host.dirs import Dirs
from circus_cg.host.identity import Identity
from circus_cg.keeper.boot import is_keeper
from circus_cg.rpc import keyring
from circus_cg.spec import ArbiterSpec, Control, WatcherSpec

# systemd's words are for the keeper alone.
HIDDEN = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES")


_WITHOUT = (
    "workers run without groups: no limits, no freeze, no OOM verdicts; of what a worker forks, its session alone ends"
    " with it. Give the container a cgroup file system of its own to write to"
)
_ALL_THE_SAME = "`on_missing: warn` runs without what can't be enforced; what can't be granted then fails its worker"


class Ground(NamedTuple):
    spec: ArbiterSpec
    layout: Layout
    tree: Tree
    identities: dict[str, Identity]  # by watcher
    controllers: frozenset[str]
    warnings: list[str]  # what this host does approximately, or not at all with `on_missing: warn`

    def record(self, nofile: tuple[int, int], dirs: Dirs | None, network: Network | None = None) -> ArbiterBoot:
        """`nofile`: RLIMIT_NOFILE as workers get it. Without `dirs` nothing of it lives on disk."""
        return ArbiterBoot(
            spec=self.spec,
            layout=self.layout,
            identities=self.identities,
            environment=clean_environment(),
            python_path=python_path(),
            nofile=nofile,
            oom_score_adj=int(Path("/proc/self/oom_score_adj").read_text()),
            runtime=None if dirs is None else str(dirs.runtime),
            state=None if dirs is None else str(dirs.state),
            sealed_at=clock.wall(),
            network=network,
        )


def survey(spec: ArbiterSpec, layout: Layout | None = None) -> Ground:
    """Looks only. `layout`: of a daemon that runs, whose place stays. Raises HostError for what this host lacks."""
    identities = {watcher.name: resolve(watcher) for watcher in spec.watchers}
    layout, warnings = (layout, []) if layout is not None else _layout(spec)
    found = [
        (severity, f"{watcher.name}.{text}")
        for watcher in spec.watchers
        for severity, text in findings(watcher, layout, spec.watchers)
    ]
    errors = [text for severity, text in found if severity == "error"]
    if errors and spec.on_missing == "refuse":
        raise HostError("\n".join([*errors, _ALL_THE_SAME]))
    wanted = [limits.controllers(which) for w in spec.watchers for which in (w.limits, w.watcher_limits)]
    controllers = frozenset({"memory"}).union(*wanted)
    return Ground(spec, layout, Tree(layout, spec.name), identities, controllers, warnings + [t for _, t in found])


def _layout(spec: ArbiterSpec) -> tuple[Layout, list[str]]:
    """Where groups can be made. Nowhere, for the first process of a container that is shown its groups but not given
    them, and for an operator who says so: then limits are refused, and the rest runs without. Raises HostError.
    """
    excused = os.getpid() == 1 or spec.on_missing == "warn"
    try:
        found = hierarchy.find(spec.cgroup_root)
    except HostError as none:
        if not excused:
            raise
        cause = str(none)
    else:
        obstacle = hierarchy.obstacle(found)
        if obstacle is None or not excused:
            return found, []
        cause = f"cannot make groups: {obstacle}"
    return hierarchy.NONE, [f"{cause}; {_WITHOUT}"]


def open_network(control: Control) -> tuple[Network | None, list[int]]:
    """What is sealed of it, and its listening descriptor for the keeper to pass on; neither unless the configuration
    says so. Raises KeyFileError, HostError while nothing runs yet.
    """
    if control.tcp is None:
        return None, []
    directory = Path(control.keys) if control.keys else keyring.server_keys()
    pair = keyring.read_server(directory)
    keyring.trusted_text(directory / keyring.AUTHORIZED, "circus-cg keys init makes one", secret=False)
    listener = listening.listen(control.tcp)
    return Network(secret=bytes.fromhex(pair.secret), keys=str(directory)), [listener]


def audit_path(control: Control, places: Dirs) -> str:
    """Of the file that the keeper opens."""
    return control.audit or str(places.state / "audit.log")


def refuse_another_daemon(old: ArbiterSpec, new: ArbiterSpec) -> None:
    """Where it is, and its endpoint and keys, which are opened once, while nothing runs. Raises HostError."""
    for option in ("name", "cgroup_root", "pidfile"):
        one, other = getattr(old, option), getattr(new, option)
        if one != other:
            raise HostError(
                f"cannot change {option} from {one!r} to {other!r} while the daemon runs; restart it, or change it back"
            )
    for option in ("tcp", "keys"):
        if getattr(old.control, option) != getattr(new.control, option):
            raise HostError(f"cannot change control.{option} while the daemon runs; restart it, or change it back")


def resolve(spec: WatcherSpec) -> Identity:
    """Who the workers are, with all that is read from files for them. Raises HostError."""
    return replace(identity.resolve(spec), variables=variables(spec))


def variables(spec: WatcherSpec) -> dict[str, str]:
    """Of its env_file. Raises HostError."""
    try:
        return env_files.variables(spec.env_file)
    except ConfigError as wrong:
        lines = [f"cannot run watcher {spec.name!r}: env_file {one}" for one in wrong.problems]
        raise HostError("\n".join(lines)) from wrong


def refuse_a_live_tree(tree: Tree) -> None:
    """A name's lock belongs to a runtime directory, its groups to the host: a daemon with another one may live in them.

    What a keeper that was killed left behind is no daemon, and is cleared away.
    """
    refuse_a_keeper(tree.name, tree.daemon_pids())


def refuse_a_keeper(name: str, pids: Iterable[int]) -> None:
    """Raises AlreadyRunning if one of those who live in the groups of that name is a daemon."""
    if keeper := next((pid for pid in pids if is_keeper(pid)), None):
        raise AlreadyRunning(
            f"cannot run {name!r}: a daemon of that name lives in its groups (pid {keeper}) with another runtime"
            f" directory, or one that was removed; stop that one (kill {keeper}), or choose another --name"
        )


def claim(ground: Ground, *, joining: bool) -> None:
    """Clear away what an earlier daemon of this name left, and make its tree; `joining`: move this process into it.

    Raises HostError, CgroupError.
    """
    try:
        ground.tree.kill_stale()
        ground.tree.prepare(ground.controllers, joining=joining)
    except CgroupError as refused:
        if refused.errno not in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise
        raise HostError(f"{refused}; become root, or name a delegated group as cgroup_root") from refused


def python_path() -> tuple[str, ...]:
    """Of the interpreter that runs, for workers that are to have it."""
    return tuple(path for path in sys.path if path.startswith("/"))


def clean_environment() -> dict[str, str]:
    return {key: value for key, value in os.environ.items() if key not in HIDDEN}


def findings(watcher: WatcherSpec, layout: Layout, all_: Iterable[WatcherSpec] = ()) -> Iterator[tuple[str, str]]:
    """(severity, text) for what this host can't enforce of a watcher's limits, or only approximately, or not grant.

    `all_`: those that are to be there too; what a running daemon has already can be seen in its groups.
    """
    for which, wanted in (("limits", watcher.limits), ("watcher_limits", watcher.watcher_limits)):
        for finding in check.check(layout, wanted):
            yield finding.severity, f"{which}: {finding.text}"
    if watcher.watcher_limits.memory_oom_group and check.is_v1(layout, "memory"):
        why = "v1 kills one process at a time; set limits.memory_oom_group"
        yield "error", f"watcher_limits: cannot enforce memory_oom_group: {why}"
    for refusal in privileges.refusals(watcher, privileges.held()):
        yield "error", refusal
    if obstacle := real_time.obstacle(layout, watcher, others_use_cpu=any(map(real_time.uses_cpu, all_))):
        yield "error", f"sched_policy: {obstacle}"
