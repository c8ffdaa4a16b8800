"""Reads configuration files as root may: only what nobody else can have written."""

from __future__ import annotations

import glob
import os
import resource
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import msgspec
from msgspec.structs import replace

from circus_cg.config import native, trusted, validate
from circus_cg.config.document import Found, Text
from circus_cg.config.findings import Findings, Notice
from circus_cg.errors import ConfigError
from circus_cg.spec import ArbiterSpec

MAX_SIZE = 16 << 20  # bytes, of all files together
MAX_INCLUDES = 1000


class Loaded(msgspec.Struct, frozen=True, kw_only=True):
    """A configuration that can be used, and what is to be said about it all the same."""

    spec: ArbiterSpec
    notices: tuple[Notice, ...] = ()


def load(path: Path) -> ArbiterSpec:
    """The validated configuration in the file `path` and those it includes. Raises ConfigError."""
    return load_with_notices(path).spec


def load_with_notices(path: Path) -> Loaded:
    """As load(). A file that ends in .ini is circus's, any other is YAML. Raises ConfigError."""
    if path.suffix == ".ini":
        return load_ini(path, os.environ)
    spec, notices = native.read_with_notices(_text(path), str(path), os.environ, _Includes(path).find)
    return Loaded(spec=spec, notices=notices)


def load_ini(path: Path, environ: Mapping[str, str]) -> Loaded:
    """circus.ini, whatever its name, with what it includes. Raises ConfigError."""
    from circus_cg.config import circus_ini  # 7 ms, only for who has one  # noqa: PLC0415
    from circus_cg.config.ini_surroundings import Surroundings  # noqa: PLC0415

    findings = Findings()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    here = Surroundings(environ, working_directory(), None if hard == resource.RLIM_INFINITY else hard)
    spec = circus_ini.read(Text(str(path), _text(path)), here, findings, _Includes(path).find)
    return Loaded(spec=spec, notices=findings.notices)


def working_directory() -> str:
    """Where circus would start workers that have none of their own."""
    try:
        return os.getcwd()
    except FileNotFoundError:  # removed while we are in it
        return "/"


class _Includes:
    """The files a configuration includes: each once, trusted as the first one is, all together within bounds."""

    def __init__(self, path: Path) -> None:
        self._base = os.path.dirname(path)
        self._seen = {os.path.realpath(path)}
        self._left = MAX_SIZE

    def find(self, pattern: str) -> Found:
        texts, problems = [], []
        try:
            paths = self._paths(pattern)
        except (OSError, ValueError) as wrong:  # ValueError: a NUL
            cause = wrong.strerror if isinstance(wrong, OSError) else str(wrong)
            return Found(problems=(f"cannot read: {cause}",))
        for path in paths:
            real = os.path.realpath(path)
            if real in self._seen:
                continue
            self._seen.add(real)
            if len(self._seen) > MAX_INCLUDES + 1:
                problems.append(f"over {MAX_INCLUDES} files; include fewer")
                break
            try:
                text = _text(Path(path))
            except ConfigError as wrong:
                problems += wrong.problems
                continue
            self._left -= len(text)
            if self._left < 0:
                problems.append(f"{path}: cannot read: over {MAX_SIZE} bytes together; split the daemon")
                break
            texts.append(Text(path, text))
        return Found(tuple(texts), tuple(problems))

    def _paths(self, pattern: str) -> list[str]:
        """In order of their names. A pattern may lead nowhere, a plain name may not. Raises OSError, ValueError."""
        whole = os.path.join(self._base, pattern)
        if not glob.has_magic(pattern):
            os.stat(whole)
            return [whole]
        with suppress(FileNotFoundError):
            os.listdir(os.path.dirname(whole) or ".")  # glob would take what it can't read for an empty directory
        return sorted(os.path.join(self._base, path) for path in glob.glob(pattern, root_dir=self._base or None))


def _text(path: Path) -> str:
    return trusted.text(path, MAX_SIZE)


def override(spec: ArbiterSpec, *, name: str | None, cgroup_root: str | None) -> ArbiterSpec:
    """`spec` with what the command line says instead; None says nothing. Raises ConfigError."""
    said = {"name": name, "cgroup_root": cgroup_root}
    changes = {key: value for key, value in said.items() if value is not None}
    changed = replace(spec, **changes)
    found = [problem for problem in validate.problems(changed) if problem.path[0] in changes]
    if found:
        raise ConfigError([f"--{one.path[0].replace('_', '-')}: {one.text}" for one in found])
    return changed
