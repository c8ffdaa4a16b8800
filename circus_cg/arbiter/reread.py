"""The configuration of a running daemon, read again: one way for `reloadconfig` and for the seal of an upgrade.

The arbiter imports no parser and opens no configuration file: for `reloadconfig` it runs this module of its own sealed
code, gives it what it runs by, as JSON, and reads a Reread. What is wrong costs that process, and is its answer.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import NamedTuple

import msgspec
from msgspec.structs import replace

from circus_cg.arbiter.boot import ArbiterBoot, Reread, Source, encode
from circus_cg.arbiter.ground import refuse_another_daemon, survey
from circus_cg.config import loader
from circus_cg.config.findings import told
from circus_cg.errors import CircusCgError, HostError
from circus_cg.host import clock


class Renewed(NamedTuple):
    record: ArbiterBoot
    warnings: list[str]


def renewed(running: ArbiterBoot, source: Source) -> Renewed:
    """What the daemon is to run by from now on, where it is. In a process of its own, which goes to the directory that
    the daemon was started in.

    Raises ConfigError, HostError: then there is nothing to change to.
    """
    if source.cwd is not None:
        try:
            os.chdir(source.cwd)
        except OSError as gone:
            raise HostError(
                f"cannot read {source.path} again: the daemon was started in {source.cwd}: {gone.strerror};"
                " make it again, or restart the daemon"
            ) from gone
    loaded = loader.load_with_notices(Path(source.path))
    spec = loader.override(loaded.spec, name=source.name, cgroup_root=source.cgroup_root)
    refuse_another_daemon(running.spec, spec)
    ground = survey(spec, running.layout)
    known = {watcher.name for watcher in spec.watchers}
    retired = {old.name: old for old in (*running.retired, *running.spec.watchers) if old.name not in known}
    record = replace(
        running,
        spec=spec,
        identities=ground.identities,
        resealed=True,
        retired=tuple(retired.values()),
        sealed_at=clock.wall(),
    )
    return Renewed(record, [*told(loaded.notices), *ground.warnings])


def answer(running: ArbiterBoot) -> Reread:
    assert running.source is not None
    try:
        found = renewed(running, running.source)
        encode(found.record)
    except CircusCgError as wrong:
        return Reread(wrong=_text(str(wrong)), code=wrong.code)
    return Reread(record=found.record, warnings=list(map(_text, found.warnings)))


def _text(said: str) -> str:
    """It may name a file whose name is not UTF-8."""
    return said.encode(errors="backslashreplace").decode()


def main() -> None:
    running = msgspec.json.decode(sys.stdin.buffer.read(), type=ArbiterBoot)
    sys.stdout.buffer.write(msgspec.json.encode(answer(running)))
