"""Asks circus's own loader and ours about the same files, with the same surroundings."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from circus_cg.config import circus_ini, loader
from circus_cg.config.document import Text
from circus_cg.config.findings import Findings
from circus_cg.config.ini_surroundings import Surroundings

HERE = Path(__file__).parent
EXAMPLES = HERE / "circus"
CORPUS = HERE.parents[2] / ".." / "shared" / "corpus"
ENVIRON = {
    "PATH": os.environ["PATH"],
    "HOME": "/home/jo",
    "USER_DIR": "/srv/jo",
    "PASSWORD": "pa$HOME",
    "LC_CTYPE": "C.UTF-8",
}
DIRECTORY = "/"


def circus(paths: Sequence[Path]) -> list[dict[str, Any]]:
    """Its answers, by circus_oracle.py."""
    done = subprocess.run(
        [sys.executable, str(HERE / "circus_oracle.py")],
        input=json.dumps([str(path) for path in paths]),
        env=ENVIRON,
        cwd=DIRECTORY,
        capture_output=True,
        text=True,
        check=True,
    )
    answers: list[dict[str, Any]] = json.loads(done.stdout)
    return answers


def ours(text: str) -> loader.Loaded:
    """What one text without includes means, with those surroundings. Raises ConfigError."""
    findings = Findings()
    spec = circus_ini.read(Text("circus.ini", text), Surroundings(ENVIRON, DIRECTORY, 1024), findings)
    return loader.Loaded(spec=spec, notices=findings.notices)


def trusted(source: Path, target: Path) -> Path:
    """A copy that the loader trusts, whatever the modes and the owner of a checkout are."""
    target.mkdir(mode=0o700)
    for path in sorted(source.rglob("*")):
        copy = target / path.relative_to(source)
        if path.is_dir():
            copy.mkdir(mode=0o700)
        else:
            shutil.copyfile(path, copy)
            copy.chmod(0o600)
    return target
