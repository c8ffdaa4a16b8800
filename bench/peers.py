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
    if shutil.which("runsvdir") is None:
        _say("installing runit", quiet)
        apt = ["apt-get", "install", "-qq", "-y", "--no-install-recommends", "runit"]
        subprocess.run(apt, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def _say(text: str, quiet: bool) -> None:
    if not quiet:
        print(text, file=sys.stderr)
