"""Programs that use circus as a library: its clients and its consumer of events."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
import threading
from collections.abc import Callable

from tests.conftest import SLOWNESS, until
from tests.functional.daemon import Daemon

CLIENT = """
import json, os
from circus.client import CircusClient
client = CircusClient(endpoint=os.environ["ENDPOINT"], timeout=20)
found = {
    "numprocesses": client.send_message("numprocesses", name="w")["numprocesses"],
    "incr": client.call({"command": "incr", "properties": {"name": "w", "nb": 2, "waiting": True}})["numprocesses"],
    "stats": client.send_message("stats", name="w"),
    "unknown": client.send_message("no-such-command"),
    "wrong": client.send_message("incr"),
    "missing": client.send_message("status", name="nobody"),
    "reload": client.send_message("reload", name="web", waiting=True),
}
client.stop()
print(json.dumps(found))
"""
ASYNC = """
import json, os
from tornado.ioloop import IOLoop
from circus.client import AsyncCircusClient

async def main():
    client = AsyncCircusClient(endpoint=os.environ["ENDPOINT"])
    first = await client.send_message("list")
    second = await client.send_message("stop", name="web", waiting=True)
    third = await client.send_message("status", name="web")
    client.stop()
    return [first["watchers"], second["status"], third["status"]]

print(json.dumps(IOLoop.current().run_sync(main)))
"""
CONSUMER = """
import os
from circus.consumer import CircusConsumer
for topic, body in CircusConsumer([os.environ["TOPIC"]], endpoint=os.environ["PUBSUB"]):
    print(topic.decode(), body.decode(), flush=True)
"""
STATS = """
import json, os
from circus.stats.client import StatsClient
seen = set()
for watcher, subtopic, stat in StatsClient(os.environ["PUBSUB"]):
    print(json.dumps([watcher, subtopic, stat]), flush=True)
"""


class Listening:
    """A program of circus's that prints a line a message."""

    def __init__(self, code: str, **environment: str) -> None:
        command = [sys.executable, "-W", "ignore", "-c", code]
        self.process = subprocess.Popen(command, env={**os.environ, **environment}, stdout=subprocess.PIPE, text=True)
        self.lines: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def end(self) -> None:
        self.process.kill()
        self.process.wait(20 * SLOWNESS)
        self._reader.join()
        assert self.process.stdout is not None
        self.process.stdout.close()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line)


def test_nobody_else_can_reach_either_socket(running: Daemon, endpoint: str, pubsub: str) -> None:
    for one in (endpoint, pubsub):
        assert stat.S_IMODE(os.stat(one.removeprefix("ipc://")).st_mode) == 0o600


def test_its_client_asks_and_understands(running: Daemon, program: Callable[[str], str]) -> None:
    found = json.loads(program(CLIENT))
    assert (found["numprocesses"], found["incr"]) == (2, 4)
    assert set(found["stats"]["info"]) == {str(row["pid"]) for row in running.workers("w")}
    assert [(found[key]["status"], found[key]["errno"]) for key in ("unknown", "wrong", "missing")] == [
        ("error", 2), ("error", 6), ("error", 5),
    ]  # fmt: skip
    assert found["reload"]["status"] == "ok"
    assert [row["generation"] for row in running.workers("web")] == [2]


def test_its_asynchronous_client_asks_and_understands(running: Daemon, program: Callable[[str], str]) -> None:
    assert json.loads(program(ASYNC)) == [["w", "web"], "ok", "stopped"]


def test_its_consumer_hears_of_spawns_and_reaps_with_its_fields(running: Daemon, pubsub: str) -> None:
    listening = Listening(CONSUMER, PUBSUB=pubsub, TOPIC="watcher.")
    try:
        for number in range(100):  # a PUB tells nobody when a subscription has come
            running.ctl("set", "web", f"graceful_timeout={20 + number}s")
            if listening.lines:
                break
        (row,) = running.workers("web")
        os.kill(row["pid"], signal.SIGKILL)
        until(lambda: any("watcher.web.spawn" in line for line in listening.lines))
        running.ctl("reload", "w"), running.ctl("add", "new", "sleep 1"), running.ctl("rm", "new")
        until(lambda: any("watcher.new.remove" in line for line in listening.lines))
    finally:
        listening.end()
    messages = [(topic, json.loads(body)) for topic, body in (line.split(" ", 1) for line in listening.lines)]
    reap = next(body for topic, body in messages if topic == "watcher.web.reap")
    assert (reap["process_pid"], reap["exit_code"]) == (row["pid"], -signal.SIGKILL)
    spawn = next(body for topic, body in messages if topic == "watcher.web.spawn")
    assert spawn["process_pid"] == running.workers("web")[0]["pid"]
    assert all(body["time"] > 1e9 for _, body in messages)
    kinds = {topic.rpartition(".")[2] for topic, _ in messages}
    assert {"updated", "reap", "spawn", "reload", "kill", "add", "remove"} <= kinds


def test_its_stats_client_gets_each_worker_and_their_sum_while_it_listens(running: Daemon, pubsub: str) -> None:
    assert running.ctl("debug")["arbiter"]["queues"]["sampling_for"] == 0
    listening = Listening(STATS, PUBSUB=pubsub)
    try:
        until(lambda: len(listening.lines) >= 8, 20)
        assert running.ctl("debug")["arbiter"]["queues"]["sampling_for"] == 1
    finally:
        listening.end()
    until(lambda: running.ctl("debug")["arbiter"]["queues"]["sampling_for"] == 0)
    found = [json.loads(line) for line in listening.lines]
    pids = {str(row["pid"]) for row in running.workers("w")}
    assert {subtopic for watcher, subtopic, _ in found if watcher == "w"} == {*pids, None}
    whole = next(stat for watcher, subtopic, stat in found if watcher == "w" and subtopic is None)
    assert {str(pid) for pid in whole["pid"]} == pids and whole["age"] > 0
