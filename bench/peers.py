"""The peers, in an environment of the bench's own: circus and supervisor from PyPI, runit from Debian."""

from __future__ import annotations

import compileall
import shutil
import subprocess
import sys
from pathlib import Path

VENV = Path(__file__).parent / ".venv"
WANTED = ["circus==0.19.0", "supervisor==4.3.0"]


def prepare(*, quiet: bool, peers: bool = True) -> None:
    """Idempotent; says what it installs, unless quiet. Our own modules are compiled as an installed wheel's are."""
    compileall.compile_dir(Path(__file__).parent.parent / "circus_cg", quiet=1)
    if not peers:
        return
    stamp = VENV / "peers.txt"
    if not stamp.exists() or stamp.read_text().split() != WANTED:
        _say(f"installing {', '.join(WANTED)} into {VENV}", quiet)
        subprocess.run([sys.executable, "-m", "venv", VENV], check=True)
        subprocess.run([VENV / "bin" / "pip", "install", "-q", "setuptools<81", *WANTED], check=True, stdout=sys.stderr)
        stamp.write_text("\n".join(WANTED))
    from_debian("runsvdir", "runit", quiet=quiet)


def from_debian(program: str, package: str, *, quiet: bool) -> None:
    """SystemExit where it can't be had."""
    if shutil.which(program) is not None:
        return
    _say(f"installing {package}", quiet)
    apt = ["apt-get", "install", "-qq", "-y", "--no-install-recommends", package]
    try:
        subprocess.run(apt, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    except (OSError, subprocess.CalledProcessError) as error:
        cause = (getattr(error, "stderr", None) or str(error)).strip()
        raise SystemExit(f"cannot install {package}: {cause}; install what has `{program}` yourself") from error


def _say(text: str, quiet: bool) -> None:
    if not quiet:
        print(text, file=sys.stderr)
