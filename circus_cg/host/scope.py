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


def enter(name: str) -> None:
    """Continue in `circus-cg-NAME.scope`; returns where that is not needed or can't be had.

    The caller holds no lock yet and has made nothing. What a killed daemon of this name left in its scope is ended.
    """
    if os.environ.pop(MARK, None) or not os.path.isdir("/run/systemd/system"):
        return
    unit = unit_of(Path("/proc/self/cgroup").read_text())
    run, control = shutil.which("systemd-run"), shutil.which("systemctl")
    if unit is None or run is None or control is None or _is_delegated(control, unit):
        return
    whose = [] if os.geteuid() == 0 else ["--user"]
    scope = f"circus-cg-{name}.scope"
    for end in (["kill", "--signal=KILL", scope], ["stop", scope]):  # in vain where there is none
        subprocess.run([control, *whose, *end], check=False, capture_output=True, stdin=subprocess.DEVNULL)
    command = [run, *whose, "--scope", "--quiet", "--collect", f"--unit={scope}", f"--description=circus-cg: {name}"]
    command += ["--property=Delegate=yes", "--property=TasksMax=infinity", "--"]
    os.execve(run, [*command, *sys.orig_argv], {**os.environ, MARK: "1"})


def _is_delegated(control: str, unit: Unit) -> bool:
    command = [control, *(["--user"] if unit.user else []), "show", "--property=Delegate", "--value", unit.name]
    done = subprocess.run(command, check=False, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    return done.stdout.strip() == "yes"
