"""An installation of the package that a test may change, as an administrator's `pip install` would under a daemon."""

from __future__ import annotations

import compileall
import shutil
import subprocess
import sysconfig
import venv
from pathlib import Path

import circus_cg

PACKAGE = Path(circus_cg.__file__).parent
CHECKOUT = Path(__file__).parents[2]


class Installation:
    """A virtual environment with a copy of the package, or of another version of it, and this one's dependencies."""

    def __init__(self, directory: Path, package: Path = PACKAGE) -> None:
        self.site = directory / "site"
        self._hidden = self.site / "circus_cg.py"  # found before the one that is installed beside the dependencies
        self.install(package)
        venv.create(directory / "venv", with_pip=False, symlinks=True)
        self.python = directory / "venv/bin/python"
        purelib = sysconfig.get_path("purelib", vars={"base": str(directory / "venv")})
        self._dependencies = sorted({sysconfig.get_path(kind) for kind in ("purelib", "platlib")})
        Path(purelib, "circus-cg.pth").write_text("\n".join([str(self.site), *self._dependencies]) + "\n")
        self.program = directory / "venv/bin/circus-cg"
        self.program.write_text(f"#!{self.python} -P\nfrom circus_cg.__main__ import main\nmain()\n")
        self.program.chmod(0o755)

    def edit(self, module: str, old: str, new: str) -> None:
        """`module`: its file below the package."""
        file = self.site / "circus_cg" / module
        text = file.read_text()
        assert text.count(old) >= 1, f"{file} has no {old!r}"
        self.replace(file, text.replace(old, new, 1))

    def add_to(self, module: str, text: str) -> None:
        file = self.site / "circus_cg" / module
        self.replace(file, file.read_text() + text)

    def replace(self, file: Path, text: str) -> None:
        """As pip does: another file by that name."""
        fresh = file.with_suffix(".fresh")
        fresh.write_text(text)
        fresh.replace(file)
        compileall.compile_file(file, quiet=1, force=True)

    def uninstall(self) -> None:
        shutil.rmtree(self.site / "circus_cg")
        if any(Path(directory, "circus_cg").exists() for directory in self._dependencies):  # as in a guest
            self._hidden.write_text("raise ModuleNotFoundError(\"No module named 'circus_cg'\")\n")

    def install(self, package: Path = PACKAGE) -> None:
        self._hidden.unlink(missing_ok=True)
        shutil.rmtree(self.site / "circus_cg", ignore_errors=True)
        shutil.copytree(package, self.site / "circus_cg")  # and what is compiled of it already
        compileall.compile_dir(self.site, quiet=1)  # as pip does: nothing in a guest has the time for it at each start


def earlier_package(directory: Path) -> Path | None:
    """The package as it was before the last commit that changed the keeper, from a wheel that was carried along or from
    the history; None where there is neither.
    """
    directory.mkdir()
    for wheel in CHECKOUT.glob("earlier/*.whl"):
        shutil.unpack_archive(wheel, directory, "zip")
    if not (directory / "circus_cg").exists() and not _checked_out(directory):
        return None
    launcher = directory / "circus_cg/keeper/launcher"
    if launcher.exists():
        launcher.chmod(0o755)
    elif (PACKAGE / "keeper/launcher").exists() and shutil.which("cc"):  # else its keeper forks
        command = ["cc", "-std=gnu11", "-O2", "-static", "-o", str(launcher), str(launcher.with_suffix(".c"))]
        subprocess.run(command, check=True)
    return directory / "circus_cg"


def _checked_out(directory: Path) -> bool:
    last = _git("log", "--first-parent", "-1", "--format=%H", "--", "circus_cg/keeper")
    archive = directory / "earlier.tar"
    if not last or _git("archive", f"--output={archive}", f"{last.strip()}^", "circus_cg") is None:
        return False
    shutil.unpack_archive(archive, directory, "tar", filter="data")
    return True


def _git(*words: str) -> str | None:
    try:
        done = subprocess.run(["git", *words], cwd=CHECKOUT, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return None
    return done.stdout if done.returncode == 0 else None
