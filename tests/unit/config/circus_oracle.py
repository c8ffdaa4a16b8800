"""What circus 0.19 itself makes of configurations: a program, since circus reads and changes its process's state.

Reads a JSON list of paths, writes a list of {"config", "watchers": {NAME: {"argv", "env"}}} or {"error"}. What a
reference to the worker's number becomes is that reference.
"""

from __future__ import annotations

import json
import logging
import sys
import warnings
from typing import Any

from circus.config import get_config
from circus.process import Process
from circus.util import replace_gnu_args
from circus.watcher import Watcher

WID = "$(circus.wid)"
# To construct these would touch the host: files, users, modules.
TOUCHING = ("stdout_stream", "stderr_stream", "hooks", "virtualenv", "copy_path", "singleton", "__name__")


def ask(path: str) -> dict[str, Any]:
    try:
        config = get_config(path)
    except Exception as refused:  # what circus says is the answer
        return {"error": f"{type(refused).__name__}: {refused}"}
    return {"config": config, "watchers": {one["name"]: started(one) for one in config["watchers"]}}


def started(config: dict[str, Any]) -> dict[str, Any]:
    """What a worker would be executed with."""
    kept = {key: value for key, value in config.items() if key not in TOUCHING}
    kept["env"] = dict(kept["env"])
    watcher = Watcher.load_from_config({**kept, "loop": object()})
    cmd = replace_gnu_args(watcher.cmd, env=watcher.env)
    options = dict(args=watcher.args, working_dir=watcher.working_dir, shell=watcher.shell, env=watcher.env)
    try:
        process = Process(
            watcher.name, WID, cmd, uid=watcher.uid, rlimits=watcher.rlimits, watcher=watcher, spawn=False, **options
        )
    except ValueError:  # no such user here
        process = Process(watcher.name, WID, cmd, rlimits=watcher.rlimits, watcher=watcher, spawn=False, **options)
        process.uid = watcher.uid
    process.gid = watcher.gid
    process.use_fds = watcher.use_sockets
    try:
        argv = process.format_args()
    except ValueError as refused:
        return {"error": str(refused)}
    return {"argv": argv, "env": watcher.env, "working_dir": watcher.working_dir}


if __name__ == "__main__":
    logging.disable()
    warnings.simplefilter("ignore")
    json.dump([ask(path) for path in json.load(sys.stdin)], sys.stdout)
