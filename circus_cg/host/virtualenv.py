"""Where a virtualenv has its programs and its modules."""

from __future__ import annotations

import sys
from pathlib import Path

import msgspec

from circus_cg.errors import HostError
from circus_cg.spec import WatcherSpec


class Virtualenv(msgspec.Struct, frozen=True, kw_only=True):
    """Absolute directories."""

    root: str
    bin: str
    site: str


def find(spec: WatcherSpec) -> Virtualenv | None:
    """None if the watcher names none. Raises HostError."""
    if spec.virtualenv is None:
        return None
    root = Path(spec.virtualenv)
    return Virtualenv(root=str(root), bin=str(root / "bin"), site=str(_site(root, spec)))


def _site(root: Path, spec: WatcherSpec) -> Path:
    """Of the version that is named; else of ours, as circus has it; else of the only one there is."""
    version = spec.virtualenv_py_ver or f"{sys.version_info[0]}.{sys.version_info[1]}"
    named = [root / "lib" / f"{implementation}{version}" / "site-packages" for implementation in ("python", "pypy")]
    found = [one for one in named if one.is_dir()]
    there = [one for one in sorted(root.glob("lib/*/site-packages")) if one.is_dir()]
    if found:
        return found[0]
    if spec.virtualenv_py_ver is None and len(there) == 1:
        return there[0]
    whose = f"cannot run watcher {spec.name!r}: virtualenv {spec.virtualenv!r}"
    if not there:
        raise HostError(f"{whose} has no lib/python*/site-packages; create it, or correct virtualenv")
    versions = ", ".join(one.parent.name for one in there)
    raise HostError(f"{whose} has no site-packages for {version} but {versions}; set virtualenv_py_ver")
