"""`python -m circus_cg.cli.seal`: what an upgrade asks of the code installed by then. Started by the keeper, as root.

It reads the configuration as `run` does, changes nothing, and gives the keeper what to go by from now on. A keeper of
another version starts it, so these stay as they are:

descriptors     3: a channel to the keeper; 4: the boot record of the arbiter that runs; 5: the source as JSON
source          python, config, name, cgroup_root, nofile, cwd, control, instance (not of earlier keepers)
the answer      one packet: {"refused": text, "exit": status}, or {"sealed": true} with the descriptors of a record as
                JSON, of a boot record, of the image, and of the launcher if there is one
record          arbiter {argv, env}, image {digest, python, version}, watchers (their number), warnings, audit (a path)
"""

from __future__ import annotations

import importlib
import json
import os
import socket
import sys
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from circus_cg.arbiter import boot
from circus_cg.arbiter.boot import ArbiterBoot, Source
from circus_cg.arbiter.ground import audit_path, clean_environment, python_path
from circus_cg.arbiter.reconfigure import latest
from circus_cg.arbiter.reread import Renewed, renewed
from circus_cg.errors import CircusCgError
from circus_cg.host.dirs import Dirs
from circus_cg.keeper import image
from circus_cg.keeper.boot import arbiter_command, sealed
from circus_cg.keeper.errand import CHANNEL_FD, FIRST_FD

ARBITERS = ("circus_cg.arbiter.main", "circus_cg.arbiter.control")  # what must be there for one to start


def seal(running: ArbiterBoot, source: dict[str, Any]) -> Renewed:
    """The record for the arbiters to come. Raises CircusCgError; then there is nothing to change to."""
    where = Source(path=source["config"], name=source["name"], cgroup_root=source["cgroup_root"], cwd=source.get("cwd"))
    found = renewed(running, where)
    soft, hard = source["nofile"]
    # By the interpreter that runs here, which may be another one from now on.
    own = {"environment": clean_environment(), "python_path": python_path(), "nofile": (soft, hard)}
    record = replace(found.record, source=where, **own)
    boot.encode(record)  # what can't be handed on is refused, too
    return found._replace(record=record)


def with_the_watchers_of_now(sealed_record: ArbiterBoot, instance: str | None) -> ArbiterBoot:
    """Those of the configuration as an arbiter read it last. Nothing else of what it wrote is believed."""
    last = latest(sealed_record, instance)
    spec = replace(sealed_record.spec, watchers=last.spec.watchers)
    return replace(sealed_record, spec=spec, retired=last.retired)


def main() -> None:
    with socket.socket(fileno=CHANNEL_FD) as channel:
        source = json.loads(os.pread(FIRST_FD + 1, os.fstat(FIRST_FD + 1).st_size, 0))
        running = with_the_watchers_of_now(boot.read(FIRST_FD), source.get("instance"))
        try:
            record, warnings = seal(running, source)
        except CircusCgError as refused:
            channel.send(json.dumps({"refused": str(refused)[:60_000], "exit": refused.exit_status}).encode())
            return
        for module in ARBITERS:
            importlib.import_module(module)
        taken = image.take()
        body = {
            "arbiter": {"argv": arbiter_command(sys.executable), "env": clean_environment()},
            "image": {"digest": taken.digest, "python": taken.python, "version": taken.version},
            "audit": audit_path(record.spec.control, Dirs(Path(record.runtime or ""), Path(record.state or ""))),
            "watchers": len(record.spec.watchers),
            "warnings": warnings,
        }
        fds = [
            sealed("circus-cg-record", json.dumps(body).encode()),
            sealed("circus-cg-arbiter-boot", boot.encode(record)),
            taken.fd,
        ]
        socket.send_fds(channel, [b'{"sealed": true}'], fds + ([] if taken.launcher is None else [taken.launcher]))


if __name__ == "__main__":
    main()
