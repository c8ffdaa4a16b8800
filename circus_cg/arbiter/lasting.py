"""What the operator set to stay beyond the daemon: kept in lasting.json, over the configuration at every start.

Only options that hold at once: what a worker is born with, above all what is run and as whom, is the configuration's to
say, so that this file can never change it.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

import msgspec

from circus_cg.arbiter.intent import write_private
from circus_cg.core import plan
from circus_cg.core.dotted import Options, at, concerns, put
from circus_cg.keeper.log import say
from circus_cg.spec import WatcherSpec

FILE = "lasting.json"
KEPT = plan.LIVE - {"health"}  # which has commands


class _Document(msgspec.Struct, kw_only=True):
    version: int = 1
    watchers: dict[str, Options] = {}


class Lasting:
    """Without a `path` nothing can be kept."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._document = _Document() if path is None else _read(path)

    @property
    def is_possible(self) -> bool:
        return self._path is not None

    def of(self, name: str) -> Options:
        return self._document.watchers.get(name, {})

    def over(self, spec: WatcherSpec) -> WatcherSpec:
        """`spec` as it was set. What doesn't fit any more is left out: the watcher must run."""
        kept = {key: value for key, value in self.of(spec.name).items() if key.partition(".")[0] in KEPT}
        if not kept:
            return spec
        try:
            return put(spec, kept)
        except msgspec.ValidationError as wrong:
            say("arbiter", f"cannot apply what {FILE} says of {spec.name}: {wrong}; its configuration stands")
            return spec

    def keep(self, configured: WatcherSpec, now: WatcherSpec, keys: Iterable[str]) -> None:
        """`now` in these options (a whole mapping, or one of it); what is as configured needs no keeping.

        On disk when it returns, even after a power cut. Raises OSError: then nothing is kept that was not before.
        """
        asked = tuple(keys)
        others = {key: value for key, value in self.of(now.name).items() if not concerns(asked, key)}
        changed = [key for key in plan.diff(configured, now).changed if concerns(asked, key)]
        self._write({**self._document.watchers, now.name: {**others, **{key: at(now, key) for key in changed}}})

    def _write(self, watchers: Mapping[str, Options]) -> None:
        document = _Document(watchers={name: options for name, options in watchers.items() if options})
        if self._path is None or document == self._document:
            return
        write_private(self._path, msgspec.json.encode(document), durable=True)
        self._document = document


def configured_alone(keys: Iterable[str]) -> list[str]:
    """Those that can't be kept."""
    return [key for key in keys if key.partition(".")[0] not in KEPT]


def _read(path: Path) -> _Document:
    """A broken file is put beside, not lost: somebody set these limits for a reason."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=_Document)
    except FileNotFoundError:
        return _Document()
    except (OSError, msgspec.DecodeError) as broken:
        say("arbiter", f"cannot read {path}: {broken}; what was set to last is not in force, the file is now .broken")
        with suppress(OSError):
            os.replace(path, path.with_suffix(".broken"))
        return _Document()
