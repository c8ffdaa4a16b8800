"""A daemon started by hand on a systemd host gets a subtree of its own: a transient, delegated scope.

`systemd-run --scope` asks for it (StartTransientUnit), waits for it, and becomes the command: same pid, terminal and
descriptors. It comes with systemd and reaches it without a D-Bus daemon; a D-Bus library would be one more dependency
that root runs, for one call.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

MARK = "CIRCUS_CG_IN_SCOPE"  # set in the process that comes back: it must not ask again
UNITS = (".service", ".scope")


class Unit(NamedTuple):
    name: str
    user: bool  # of a user's own service manager


def unit_of(memberships: str) -> Unit | None:
    """The unit a process is directly in, by its /proc/PID/cgroup. None: in none, or deeper in what was delegated."""
    rows = [line.split(":", 2) for line in memberships.splitlines()]
    paths = {names: path for _, names, path in rows}
    path = paths.get("name=systemd", paths.get("", "/"))
    above, _, last = path.rpartition("/")
    if not last.endswith(UNITS) or last == "init.scope":
        return None
    managers = [part for part in above.split("/") if part.startswith("user@") and part.endswith(".service")]
    return Unit(last, bool(managers))


def is_asked_for() -> bool:
    """`run` would ask: this process is directly in a unit of systemd's that is neither delegated to it nor its own.

    A service that runs us as its main process stays one, whatever its unit lacks: to leave it would deceive systemd.
    """
    if MARK in os.environ or not os.path.isdir("/run/systemd/system"):
        return False
    unit = unit_of(Path("/proc/self/cgroup").read_text())
    if unit is None or shutil.which("systemd-run") is None or (control := shutil.which("systemctl")) is None:
        return False
    command = [control, *(["--user"] if unit.user else []), "show", "--property=Delegate,MainPID", unit.name]
    done = subprocess.run(command, check=False, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    return not {"Delegate=yes", f"MainPID={os.getpid()}"} & set(done.stdout.splitlines())


def above() -> str:
    """The group that systemd would make the scope in, or one above it that shows what the scope may have."""
    uid = os.geteuid()
    return "/" if uid == 0 else f"/user.slice/user-{uid}.slice/user@{uid}.service"


def enter(name: str) -> None:
    """Continue in `circus-cg-NAME.scope`; returns where that is not asked for.

    The caller holds no lock yet and has made nothing. What a killed daemon of this name left in its scope is ended.
    """
    if not is_asked_for():
        os.environ.pop(MARK, None)
        return
    whose = [] if os.geteuid() == 0 else ["--user"]
    scope = f"circus-cg-{name}.scope"
    for end in (["kill", "--signal=KILL", scope], ["stop", scope]):  # in vain where there is none
        subprocess.run(["systemctl", *whose, *end], check=False, capture_output=True, stdin=subprocess.DEVNULL)
    command = ["systemd-run", *whose, "--scope", "--quiet", "--collect", f"--unit={scope}"]
    command += [f"--description=circus-cg: {name}", "--property=Delegate=yes", "--property=TasksMax=infinity", "--"]
    os.execvpe(command[0], [*command, *sys.orig_argv], {**os.environ, MARK: "1"})
