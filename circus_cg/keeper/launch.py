"""Finds the launcher: the native one beside this module, or a fork of the caller where none was built."""

import os

from circus_cg.keeper.fork import ForkLauncher
from circus_cg.keeper.native import NativeLauncher
from circus_cg.keeper.request import Answer, Failed, Gone, Running, SpawnRequest, Started

__all__ = [
    "Answer",
    "Failed",
    "ForkLauncher",
    "Gone",
    "NativeLauncher",
    "Running",
    "SpawnRequest",
    "Started",
    "make_launcher",
]


def make_launcher(path: str | None = None) -> NativeLauncher | ForkLauncher:
    """`path`: of the native launcher, by default beside this module. CIRCUS_CG_LAUNCHER=fork asks for the fallback."""
    path = path or os.path.join(os.path.dirname(os.path.abspath(__file__)), "launcher")
    if os.environ.get("CIRCUS_CG_LAUNCHER") == "fork" or not os.access(path, os.X_OK):
        return ForkLauncher()
    return NativeLauncher(path)
