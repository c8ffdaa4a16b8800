"""`python -m circus_cg.cli.seal`: what an upgrade asks of the code installed by then. Started by the keeper, as root.

It reads the configuration as `run` does, changes nothing, and gives the keeper what to go by from now on. A keeper of
another version starts it, so these stay as they are:

descriptors     3: a channel to the keeper; 4: the boot record of the arbiter that runs; 5: the source as JSON
source          python, config, name, cgroup_root, nofile, cwd, control
the answer      one packet: {"refused": text, "exit": status}, or {"sealed": true} with the descriptors of a record as
                JSON, of a boot record, of the image, and of the launcher if there is one
record          arbiter {argv, env}, image {digest, python, version}, watchers (their number), warnings
"""

from __future__ import annotations

import importlib
import json
import os
import socket
import sys
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from circus_cg.arbiter import boot
from circus_cg.arbiter.boot import ArbiterBoot
from circus_cg.arbiter.ground import clean_environment, refuse_another_network, survey
from circus_cg.config import loader
from circus_cg.config.findings import told
from circus_cg.core import plan
from circus_cg.errors import CircusCgError, HostError
from circus_cg.host import dirs
from circus_cg.keeper import image
from circus_cg.keeper.boot import arbiter_command, sealed
from circus_cg.keeper.errand import CHANNEL_FD, FIRST_FD

ARBITERS = ("circus_cg.arbiter.main", "circus_cg.arbiter.control")  # what must be there for one to start


class Sealed(NamedTuple):
    record: ArbiterBoot
    warnings: list[str]


def seal(running: ArbiterBoot, source: dict[str, Any]) -> Sealed:
    """The record for the arbiters to come. Raises CircusCgError; then there is nothing to change to."""
    loaded = loader.load_with_notices(Path(source["config"]))
    spec = loader.override(loaded.spec, name=source["name"], cgroup_root=source["cgroup_root"])
    for option in ("name", "cgroup_root", "pidfile"):
        old, new = getattr(running.spec, option), getattr(spec, option)
        if old != new:
            raise HostError(
                f"cannot change {option} from {old!r} to {new!r} while the daemon runs; restart it, or change it back"
            )
    for old_watcher in running.spec.watchers:
        new_watcher = spec.watcher(old_watcher.name)
        if new_watcher and (lifted := plan.lifted(old_watcher.watcher_limits, new_watcher.watcher_limits)):
            names = ", ".join(f"watcher_limits.{name}" for name in lifted)
            raise HostError(
                f"cannot lift {names} of {old_watcher.name!r} while the daemon runs; set a larger value, or restart it"
            )
    refuse_another_network(running.spec, spec)
    ground = survey(spec, running.layout)
    soft, hard = source["nofile"]
    record = ground.record((soft, hard), dirs.Dirs(Path(running.runtime or ""), Path(running.state or "")))
    known = {watcher.name for watcher in spec.watchers}
    retired = {old.name: old for old in (*running.retired, *running.spec.watchers) if old.name not in known}
    kept = {"retired": tuple(retired.values()), "source": running.source, "network": running.network}
    sealed_record = msgspec.structs.replace(record, resealed=True, **kept)
    return Sealed(sealed_record, [*told(loaded.notices), *ground.warnings])


def main() -> None:
    with socket.socket(fileno=CHANNEL_FD) as channel:
        source = json.loads(os.pread(FIRST_FD + 1, os.fstat(FIRST_FD + 1).st_size, 0))
        os.chdir(source["cwd"])
        try:
            record, warnings = seal(boot.read(FIRST_FD), source)
        except CircusCgError as refused:
            channel.send(json.dumps({"refused": str(refused)[:60_000], "exit": refused.exit_status}).encode())
            return
        for module in ARBITERS:
            importlib.import_module(module)
        taken = image.take()
        body = {
            "arbiter": {"argv": arbiter_command(sys.executable), "env": clean_environment()},
            "image": {"digest": taken.digest, "python": taken.python, "version": taken.version},
            "watchers": len(record.spec.watchers),
            "warnings": warnings,
        }
        fds = [
            sealed("circus-cg-record", json.dumps(body).encode()),
            sealed("circus-cg-arbiter-boot", msgspec.json.encode(record)),
            taken.fd,
        ]
        socket.send_fds(channel, [b'{"sealed": true}'], fds + ([] if taken.launcher is None else [taken.launcher]))


if __name__ == "__main__":
    main()
