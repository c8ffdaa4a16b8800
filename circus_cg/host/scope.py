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
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

MARK = "CIRCUS_CG_IN_SCOPE"  # set in the process that comes back: it must not ask again
UNITS = (".service", ".scope")


class Unit(NamedTuple):
    name: str
    user: bool  # of a user's own service manager


def unit_of(memberships: str) -> Unit | None:
    """The unit a process is directly in, by its /proc/PID/cgroup. None: in none, or deeper in what was delegated."""
    above, _, last = _path(memberships).rpartition("/")
    if not last.endswith(UNITS) or last == "init.scope":
        return None
    managers = [part for part in above.split("/") if part.startswith("user@") and part.endswith(".service")]
    return Unit(last, bool(managers))


def members(group: str, name: str, proc: str = "/proc") -> list[int]:
    """The pids in a group of systemd's own hierarchy, and in the leaf below it where a daemon of that name would be.

    None without a group. A worker may be a keeper as well, of a library's workers: it is in a group of its own.
    """
    found = []
    for pid in sorted(int(entry) for entry in os.listdir(proc) if group and entry.isdigit()):
        with suppress(OSError):  # it has ended
            path = _path(Path(proc, str(pid), "cgroup").read_text(errors="surrogateescape"))
            if path == group or (path.startswith(f"{group}/") and path.endswith(f"/{name}/@daemon")):
                found.append(pid)
    return found


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


def enter(name: str, refuse: Callable[[str, list[int]], None]) -> None:
    """Continue in `circus-cg-NAME.scope`; returns where that is not asked for.

    The caller holds no lock yet and has made nothing. What a killed daemon of this name left in its scope is ended,
    but `refuse` raises first if a live one is among its pids: only its lock would be another one than ours.
    """
    if not is_asked_for():
        os.environ.pop(MARK, None)
        return
    whose = [] if os.geteuid() == 0 else ["--user"]
    scope = f"circus-cg-{name}.scope"
    shown = _systemctl(*whose, "show", "--value", "--property=ControlGroup", scope)
    if shown.returncode == 0:  # else nobody knows who would be killed
        refuse(name, members(shown.stdout.strip(), name))
        for end in (["kill", "--signal=KILL", scope], ["stop", scope]):  # in vain where there is none
            _systemctl(*whose, *end)
    command = ["systemd-run", *whose, "--scope", "--quiet", "--collect", f"--unit={scope}"]
    command += [f"--description=circus-cg: {name}", "--property=Delegate=yes", "--property=TasksMax=infinity", "--"]
    os.execvpe(command[0], [*command, *sys.orig_argv], {**os.environ, MARK: "1"})


def _systemctl(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["systemctl", *words], check=False, capture_output=True, text=True, stdin=subprocess.DEVNULL)


def _path(memberships: str) -> str:
    """In systemd's own hierarchy, by a /proc/PID/cgroup."""
    rows = [line.split(":", 2) for line in memberships.splitlines()]
    paths = {names: path for _, names, path in rows}
    return paths.get("name=systemd", paths.get("", "/"))
