"""What the operator did at run time: kept in intent.json and merged over the configuration by the next arbiter.

It lasts as long as this daemon: `instance` names the keeper it belongs to. A fresh start begins from the configuration.
"""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from circus_cg.spec import WatcherSpec


class Intent(msgspec.Struct, kw_only=True, omit_defaults=True):
    """None: the configuration's own word stands."""

    wanted: bool | None = None
    numprocesses: int | None = None


class _Document(msgspec.Struct, kw_only=True):
    instance: str
    version: int = 1
    watchers: dict[str, Intent] = {}


class Intents:
    def __init__(self, path: Path | None, instance: str) -> None:
        """Without a `path` it is kept in memory only: the arbiter's end is the daemon's."""
        self._path = path
        self._document = _Document(instance=instance) if path is None else _read(path, instance)

    def wanted(self, spec: WatcherSpec) -> bool:
        said = self._of(spec.name).wanted
        return spec.autostart if said is None else said

    def numprocesses(self, spec: WatcherSpec) -> int:
        said = self._of(spec.name).numprocesses
        return spec.numprocesses if said is None else said

    def want(self, name: str, wanted: bool) -> None:
        """On disk before anything is done about it. Raises OSError; what was said holds for this arbiter even so."""
        self._put(name, Intent(wanted=wanted, numprocesses=self._of(name).numprocesses))

    def count(self, name: str, numprocesses: int) -> None:
        self._put(name, Intent(wanted=self._of(name).wanted, numprocesses=numprocesses))

    def _of(self, name: str) -> Intent:
        return self._document.watchers.get(name, Intent())

    def _put(self, name: str, intent: Intent) -> None:
        if self._document.watchers.get(name) == intent:
            return
        watchers = {**self._document.watchers, name: intent}
        self._document = _Document(instance=self._document.instance, watchers=watchers)
        if self._path is not None:
            _write(self._path, msgspec.json.encode(self._document))


def _read(path: Path, instance: str) -> _Document:
    """An absent, foreign or broken file is an empty one: losing it loses intent, never supervision."""
    try:
        document = msgspec.json.decode(path.read_bytes(), type=_Document)
    except (OSError, msgspec.DecodeError):
        return _Document(instance=instance)
    return document if document.instance == instance else _Document(instance=instance)


def _write(path: Path, body: bytes) -> None:
    """Atomic against our own death. No fsync: after a crash of the machine the instance is another one."""
    new = path.with_suffix(".new")
    fd = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    with os.fdopen(fd, "wb") as file:
        file.write(body)
    os.replace(new, path)
