"""What goes into a guest that has no internet: the wheel of this very checkout, its dependencies, the tests."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path
from typing import IO, Any

PROJECT = Path(__file__).resolve().parents[1]
PYTHON = "3.11"  # Debian 12's
GLIBC = 36  # its minor version there
# pip asks the conditions on python_version of the Python that runs it (pip's issue 11664): theirs that are older.
OLDER_PYTHONS_NEED = ["typing-extensions"]
PLATFORMS = [f"manylinux_2_{minor}_x86_64" for minor in range(GLIBC, 4, -1)]
PLATFORMS += ["manylinux2014_x86_64", "manylinux2010_x86_64", "manylinux1_x86_64", "linux_x86_64"]


class Infrastructure(Exception):
    """The guest or what goes into it could not be made or reached: no test's fault."""


def say(text: str) -> None:
    print(f"dev vm: {text}", file=sys.stderr, flush=True)


def cache() -> Path:
    """Outside the checkout, so that worktrees share it: boxes, dependencies, kept guests."""
    home = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
    found = Path(os.environ.get("CIRCUS_CG_VM_CACHE", home / "circus-cg" / "vm"))
    found.mkdir(parents=True, exist_ok=True)
    return found


def run(command: list[str], did: str, seconds: float = 1200, output: IO[Any] | None = None, **options: object) -> None:
    """Raises Infrastructure, with what the command said, when it fails. Its output may go elsewhere."""
    out, errors = (subprocess.PIPE, subprocess.STDOUT) if output is None else (output, subprocess.PIPE)
    try:
        done = subprocess.run(  # type: ignore[call-overload]
            command, check=False, stdin=subprocess.DEVNULL, stdout=out, stderr=errors, text=True, errors="replace",
            timeout=seconds, **options,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as cause:
        raise Infrastructure(f"cannot {did}: {cause}") from cause
    if done.returncode != 0:
        said = done.stdout if output is None else done.stderr
        raise Infrastructure(f"cannot {did}: exit status {done.returncode}:\n{said[-4000:]}")


def make_wheels() -> Path:
    """The dependencies and the tests' tools for the guest's Python, cached by what pyproject.toml asks for."""
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
    wanted = [*project["dependencies"], *project["optional-dependencies"]["test"]]
    here = f"{sys.version_info.major}.{sys.version_info.minor}"
    wheels = cache() / f"wheels-{_digest(*sorted(wanted), PYTHON, here)}"
    if wheels.exists():
        return wheels
    say("fetching the wheels that go into the guest")
    with tempfile.TemporaryDirectory(dir=cache()) as fresh:
        # Some have no wheel anywhere: what is built here of pure Python fits the guest, the rest is passed over below.
        run([sys.executable, "-m", "pip", "wheel", "-q", "-w", f"{fresh}/built", *wanted], "build wheels")
        target = [
            "--find-links",
            f"{fresh}/built",
            "--only-binary=:all:",
            "--implementation",
            "cp",
            "--python-version",
            PYTHON,
        ]
        target += [word for platform in PLATFORMS for word in ("--platform", platform)]
        wanted += OLDER_PYTHONS_NEED
        run([sys.executable, "-m", "pip", "download", "-q", "-d", f"{fresh}/fit", *target, *wanted], "fetch wheels")
        Path(fresh, "fit").rename(wheels)
    return wheels


def make_bundle(directory: Path) -> None:
    """`directory`: the tests and what they read, and the wheel; never the package itself, or it would be tested."""
    shutil.rmtree(directory, ignore_errors=True)
    tree = directory / "vagrant"
    for name in _files():
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(PROJECT / name, tree / name)
    _build_wheel(tree, tree / "wheel")  # pip's own build in the checkout would leave files there
    for left in ("build", "circus_cg", "circus_cg.egg-info"):
        shutil.rmtree(tree / left, ignore_errors=True)
    _add_earlier_wheel(tree / "earlier")


def _build_wheel(source: Path, target: Path) -> None:
    with tempfile.TemporaryDirectory(dir=cache()) as built:
        command = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", built, str(source)]
        run(command, f"build the wheel of {source}")
        shutil.copytree(built, target)


def _add_earlier_wheel(target: Path) -> None:
    """Of the version before the last commit that changed the keeper: what is upgraded from. None without a history."""
    log = ["git", "log", "--first-parent", "-1", "--format=%H", "--", "circus_cg/keeper"]
    last = subprocess.run(log, cwd=PROJECT, check=False, capture_output=True, text=True).stdout.strip()
    with tempfile.TemporaryDirectory(dir=cache()) as fresh:
        archive = ["git", "archive", f"--output={fresh}/source.tar", f"{last}^"]
        if not last or subprocess.run(archive, cwd=PROJECT, check=False, capture_output=True).returncode != 0:
            say("there is no earlier version in the history: nothing is upgraded from it")
            return
        shutil.unpack_archive(f"{fresh}/source.tar", f"{fresh}/source", "tar", filter="data")
        _build_wheel(Path(fresh, "source"), target)


def _files() -> list[str]:
    """The checkout's files as they are now, committed or not."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=PROJECT, check=False, capture_output=True, text=True)
    if listed.returncode != 0:
        raise Infrastructure(f"cannot list the files of the checkout: {listed.stderr.strip()}")
    return [name for name in listed.stdout.split("\0") if name and (PROJECT / name).is_file()]


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:12]


def recipe_digest(word: str, *files: Path) -> str:
    return _digest(word, *(file.read_text() for file in files))
