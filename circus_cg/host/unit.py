"""The systemd unit of a daemon: its text, where it belongs, and systemctl. (systemd.unit(5), systemd.service(5))"""

from __future__ import annotations

import math
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from circus_cg import xdg
from circus_cg.errors import HostError

TEMPLATE = """\
# Written by `circus-cg install-unit`, which may write it again; changes of your own belong into `systemctl {edit}`.
[Unit]
Description=circus-cg: {name}
After=network.target

[Service]
Type=notify
NotifyAccess=main
ExecStart={command}
ExecReload={reload}
# A daemon that dies takes its workers along and starts clean; what is wrong with the configuration (2), the host (3)
# or the name (4) does not get better by itself.
Restart=on-failure
RestartSec=1
RestartPreventExitStatus=2 3 4

# The subtree is ours: systemd leaves the groups below it alone.
Delegate=yes
# SIGTERM for the keeper alone, which stops the workers in order; SIGKILL for all that is left at the end.
KillMode=mixed
# A stop asks for more time as long as it goes on; without a word for so long the daemon is stuck. Of that time
# `systemctl daemon-reload` knows nothing any more: so this is no less than the configuration's own time-outs add up to.
TimeoutStopSec={stop}
# Beyond the 30 s in which the keeper itself replaces a silent arbiter: then nobody is left to help but systemd.
WatchdogSec=120
# A worker killed at its own limit is the daemon's business.
OOMPolicy=continue
{privileged}TasksMax=infinity
# Two descriptors a worker; workers get the soft limit.
LimitNOFILE=1024:524288

[Install]
WantedBy={target}
"""
STUCK = 30  # seconds without a word, beyond what workers may take
PRIVILEGED = "OOMScoreAdjust=-900\n"  # workers start at 0


def text(name: str, command: list[str], reload: list[str], *, user: bool, longest_stop: float = 0.0) -> str:
    """`reload`: a command that returns when it is done. `longest_stop`: seconds that the workers may take to leave.
    Raises HostError for a word that no unit can have.

    No hardening (ProtectSystem=, NoNewPrivileges=, ...): every worker would inherit it; limits belong to workers.
    """
    return TEMPLATE.format(
        name=_escaped(name),
        command=" ".join(map(_quoted, command)),
        reload=" ".join(map(_quoted, reload)),
        edit=f"--user edit {unit(name)}" if user else f"edit {unit(name)}",
        stop=STUCK + math.ceil(longest_stop),
        privileged="" if user else PRIVILEGED,
        target="default.target" if user else "multi-user.target",
    )


def unit(name: str) -> str:
    return f"circus-cg-{name}.service"


def directory(*, user: bool) -> Path:
    """Of units that an administrator, or a user, wrote."""
    if not user:
        return Path("/etc/systemd/system")
    return Path(xdg.directory(os.environ, "XDG_CONFIG_HOME", os.path.expanduser("~/.config"))) / "systemd/user"


def write(path: Path, content: str) -> bool:
    """Whole or not at all; False when it was there already. Raises HostError."""
    raw = content.encode()
    try:
        if path.exists() and path.read_bytes() == raw:
            return False
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as fresh:
            try:
                fresh.write(raw)
                fresh.flush()
                os.fsync(fresh.fileno())
                os.fchmod(fresh.fileno(), 0o644)
                os.replace(fresh.name, path)
            except BaseException:
                os.unlink(fresh.name)
                raise
    except OSError as cause:
        raise HostError(
            f"cannot write {path}: {cause.strerror}; run this as root, or --print it and put it there"
        ) from cause
    return True


def systemctl(*words: str, user: bool) -> None:
    """Raises HostError with what systemctl said."""
    program = shutil.which("systemctl")
    if program is None:
        raise HostError(
            f"cannot {words[0]}: this host has no systemctl; use --print and the host's own service manager"
        )
    command = [program, *(["--user"] if user else []), *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    if done.returncode != 0:
        raise HostError(f"cannot {' '.join(command[1:])}: {done.stderr.strip() or f'status {done.returncode}'}")


def _escaped(text: str) -> str:
    """`%` begins a specifier."""
    return text.replace("%", "%%")


def _quoted(word: str) -> str:
    """One word of a command line: systemd.service(5), "Command lines". Raises HostError."""
    try:
        word.encode()
    except UnicodeEncodeError as wrong:
        raise HostError(
            f"cannot name {word!r} in a unit: not UTF-8, and systemd takes nothing else; rename it"
        ) from wrong
    plain = _escaped(word).replace("$", "$$")
    if plain and not any(c.isspace() or c in "\"'\\;" for c in plain):
        return plain
    escaped = plain.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
