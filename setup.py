"""What pyproject.toml can't say: the launcher, a static C program, becomes package data beside its source.

Without a compiler the build goes on: the keeper then forks in Python, three to five times slower.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sysconfig
from pathlib import Path

from setuptools import setup
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.build_py import build_py

SOURCE = Path("circus_cg/keeper/launcher.c")
PROGRAM = Path("circus_cg/keeper/launcher")
FLAGS = ["-std=gnu11", "-O2", "-static", "-Wall", "-Wextra"]


def compile_launcher(program: Path) -> bool:
    """Compile to `program`; a failure is a warning and leaves no program."""
    program.parent.mkdir(parents=True, exist_ok=True)
    fresh = program.with_name(f"{program.name}.new")  # renamed over: a running launcher can't be written to
    command = [*shlex.split(os.environ.get("CC", "cc")), *FLAGS, "-o", str(fresh), str(SOURCE)]
    try:
        subprocess.run(command, check=True)
    except (OSError, subprocess.CalledProcessError) as failed:
        print(f"warning: cannot build {program}: {failed}; spawns will be slow until a C compiler and a static libc")
        print("warning: (Debian: gcc libc6-dev) are installed and this is built again")
        program.unlink(missing_ok=True)
        return False
    fresh.replace(program)
    return True


class BuildPy(build_py):
    """Puts the program where the package is built: into the source tree for an editable install."""

    launcher_built = False

    def run(self) -> None:
        super().run()
        self.launcher_built = compile_launcher(self._program())

    def get_outputs(self, include_bytecode: bool = True) -> list[str]:
        return [*super().get_outputs(include_bytecode), *([str(self._program())] if self.launcher_built else [])]

    def _program(self) -> Path:
        return PROGRAM if self.editable_mode else Path(self.build_lib) / PROGRAM


class BdistWheel(bdist_wheel):
    """A wheel with the program in it fits one architecture and every Python."""

    def get_tag(self) -> tuple[str, str, str]:
        if not self.get_finalized_command("build_py").launcher_built:
            return super().get_tag()
        return "py3", "none", sysconfig.get_platform().replace("-", "_").replace(".", "_")


setup(cmdclass={"build_py": BuildPy, "bdist_wheel": BdistWheel})
