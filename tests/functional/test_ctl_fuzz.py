"""Whatever is asked of a daemon is done or refused: no request ends its arbiter, and nothing is left."""

from __future__ import annotations

import random
import time
from typing import Any

import pytest

from circus_cg.arbiter.commands import COMMANDS
from circus_cg.config.schema import fields
from circus_cg.errors import CommandRefused
from circus_cg.rpc.client import Client
from circus_cg.spec import WatcherSpec
from tests.conftest import SLOWNESS, until
from tests.functional.conftest import StartDaemon
from tests.functional.evidence import arbiter_of

REQUESTS = 600 if SLOWNESS <= 1 else 150
VALUES: list[Any] = [
    *(None, True, False, 0, 1, -1, 3, 2**31, 2**63, 2**70, 1.5, -0.0, 1e300),
    *("", "w", "*", "(", "[", "web", "x" * 500, "\0", "\u2028é", "64M", "TERM", "null", "-", "/", "../.."),
    *([], {}, ["w"], ["a", "-b"], {"a": 1}, {"8:0": {"rbps": "1M"}}, [None], [["a"]], {"": ""}),
]
KEYS = [*fields(WatcherSpec), *(f"limits.{name}" for name in ("memory_max", "cpu_max", "pids_max", "io_max", ""))]
KEYS += ["watcher_limits.memory_max", "env.A", "env.", "rlimit_core", "rlimits.nofile", ".", "", ".a", "a."]
LEFT_OUT = {"quit", "wait", "incr", "decr"}  # the end, waits, and a hundred thousand workers
TYPED = {"name": ["w", "web", "new"], "cmd": ["sleep 1000"], "signum": ["CONT"], "keys": [["env"]], "match": ["glob"]}


def request(chance: random.Random) -> tuple[str, dict[str, Any]]:
    """One that is mostly right: then it goes deep."""
    command = chance.choice(sorted(COMMANDS.keys() - LEFT_OUT))
    properties: dict[str, Any] = {}
    for field in COMMANDS[command].asks.__struct_fields__:
        if field == "options":
            options = {chance.choice(KEYS): chance.choice(VALUES) for _ in range(chance.randint(0, 3))}
            properties[field] = {key: value for key, value in options.items() if value != 2**31}
        elif field != "waiting" and (chance.random() < 0.5 or field in TYPED):
            properties[field] = chance.choice(TYPED[field] if field in TYPED and chance.random() < 0.8 else VALUES)
    return command, properties


@pytest.mark.timeout(180)
@pytest.mark.parametrize("seed", range(2))
def test_no_request_ends_the_arbiter(daemon: StartDaemon, seed: int) -> None:
    chance = random.Random(seed)
    patient = {"cmd": ["sleep", "1000"], "graceful_timeout": 1}
    running = daemon(watchers={"w": patient, "web": patient})
    arbiter = until(lambda: arbiter_of(running.pid))
    client = Client(f"ipc://{running.directory}/run/{running.name}/control.sock", 20 * SLOWNESS, time.monotonic)
    done = 0
    for _ in range(REQUESTS):
        command, properties = request(chance)
        try:
            client.call(command, **properties)
            done += 1
        except CommandRefused as refused:
            assert str(refused).strip(), (command, properties)
        assert arbiter_of(running.pid) == arbiter, (command, properties)
    assert REQUESTS // 10 < done < REQUESTS, "the requests were all right, or all wrong"
