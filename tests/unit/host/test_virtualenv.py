"""A virtualenv's directories: of the version that was named, or the one that must be meant."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from circus_cg.errors import HostError
from circus_cg.host import virtualenv
from circus_cg.host.virtualenv import Virtualenv
from circus_cg.spec import WatcherSpec

OURS = f"python{sys.version_info[0]}.{sys.version_info[1]}"


def found(root: Path, version: str | None = None) -> str:
    spec = WatcherSpec(name="w", cmd=("a",), virtualenv=str(root), virtualenv_py_ver=version)
    where = virtualenv.find(spec)
    assert where is not None
    assert where == Virtualenv(root=str(root), bin=f"{root}/bin", site=where.site)
    return where.site.removeprefix(f"{root}/lib/").removesuffix("/site-packages")


def made(root: Path, *versions: str) -> Path:
    for version in versions:
        (root / "lib" / version / "site-packages").mkdir(parents=True)
    return root


def test_without_one_there_is_none() -> None:
    assert virtualenv.find(WatcherSpec(name="w", cmd=("a",))) is None


def test_the_version_that_is_named_counts_then_ours_then_the_only_one(tmp_path: Path) -> None:
    several = made(tmp_path / "several", "python2.7", OURS, "pypy3.2")
    assert found(several, "2.7") == "python2.7"
    assert found(several, "3.2") == "pypy3.2"
    assert found(several) == OURS
    assert found(made(tmp_path / "one", "python2.7")) == "python2.7"


@pytest.mark.parametrize(
    ("versions", "named", "told"),
    [
        ((), None, "has no lib/python[*]/site-packages; create it"),
        (("python2.6", "python2.7"), None, "python2.6, python2.7; set virtualenv_py_ver"),
        (("python2.6",), "2.7", "no site-packages for 2.7 but python2.6"),
    ],
)
def test_what_is_missing_or_not_clear_is_told(
    tmp_path: Path, versions: tuple[str, ...], named: str | None, told: str
) -> None:
    with pytest.raises(HostError, match=f"^cannot run watcher 'w': virtualenv .*{told}"):
        found(made(tmp_path, *versions), named)
