"""Prometheus reads what watchers and workers use, where the configuration says so and nowhere else."""

from __future__ import annotations

import os
import signal
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parsed

from tests.conftest import until
from tests.functional.conftest import StartDaemon
from tests.functional.daemon import Daemon
from tests.functional.evidence import arbiter_of, children_of, sh

SLEEP = ["sleep", "1000"]
OPEN_METRICS = "application/openmetrics-text; version=1.0.0"
Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


@pytest.fixture
def port() -> Iterator[int]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        number: int = free.getsockname()[1]
    yield number


def fetched(port: int, path: str = "/metrics", accept: str = OPEN_METRICS) -> str:
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", headers={"Accept": accept})
    with urllib.request.urlopen(request, timeout=10) as answer:
        text: str = answer.read().decode()
        assert accept.partition(";")[0] in answer.headers["Content-Type"]
        return text


def scraped(port: int) -> Samples:
    """As the format's own parser reads it: it refuses what is not OpenMetrics."""
    families = parsed(fetched(port))
    return {
        (sample.name.removeprefix("circus_cg_"), tuple(sorted(sample.labels.items()))): sample.value
        for family in families
        for sample in family.samples
    }


def serving(port: int) -> bool:
    try:
        return bool(fetched(port))
    except (urllib.error.URLError, OSError):
        return False


def key(name: str, **labels: Any) -> tuple[str, tuple[tuple[str, str], ...]]:
    return name, tuple(sorted((label, str(value)) for label, value in labels.items()))


def test_usage_limits_pressure_exits_and_restarts_are_served_as_openmetrics(daemon: StartDaemon, port: int) -> None:
    burn = {"cmd": sh("while :; do :; done"), "limits": {"cpu_max": 0.3, "memory_max": "64M", "pids_max": 7}}
    running = daemon(
        metrics={"listen": f"127.0.0.1:{port}"},
        watchers={"burn": burn, "w": {"cmd": SLEEP, "numprocesses": 2, "watcher_limits": {"memory_max": "90M"}}},
    )
    running.wait_phase("burn")
    rows = running.wait_phase("w", count=2)
    until(lambda: serving(port), why="the endpoint")
    os.kill(rows[0]["pid"], signal.SIGKILL)
    until(lambda: scraped(port).get(key("worker_restarts_total", watcher="w", reason="signal")) == 1)
    running.ctl("restart", "w")
    throttled = key("worker_cpu_throttled_seconds_total", watcher="burn", wid=1)
    found = until(lambda: one if (one := scraped(port)).get(throttled) else None)
    assert found is not None
    assert found[key("worker_exits_total", watcher="w", reason="signal")] == 3
    assert found[key("worker_restarts_total", watcher="w", reason="asked")] == 2
    assert found[key("watcher_workers", watcher="w", phase="ready")] == 2
    assert found[key("watcher_workers_wanted", watcher="w")] == 2
    assert found[key("worker_memory_limit_bytes", watcher="burn", wid=1)] == 64 << 20
    assert found[key("watcher_memory_limit_bytes", watcher="w")] == 90 << 20
    assert found[key("worker_cpu_limit_cpus", watcher="burn", wid=1)] == 0.3
    assert found[key("worker_processes_limit", watcher="burn", wid=1)] == 7
    assert found[key("worker_processes", watcher="burn", wid=1)] == 1
    assert 0 < found[key("worker_memory_bytes", watcher="burn", wid=1)] < 64 << 20
    before = found[key("worker_cpu_seconds_total", watcher="burn", wid=1)]
    until(lambda: scraped(port)[key("worker_cpu_seconds_total", watcher="burn", wid=1)] > before)
    if any(name == "watcher_pressure_stall_seconds_total" for name, _ in found):  # pure v1 has no PSI
        assert found[key("watcher_pressure_stall_seconds_total", watcher="burn", resource="cpu", share="some")] > 0
    assert found[key("history_lost_events_total")] == 0
    assert "circus_cg_watcher_workers_wanted" in fetched(port, accept="text/plain")
    with pytest.raises(urllib.error.HTTPError, match="404"):
        fetched(port, "/")


def test_nobody_listens_unless_the_configuration_says_so_and_reloads_move_it(daemon: StartDaemon, port: int) -> None:
    configuration: dict[str, Any] = {"watchers": {"w": {"cmd": SLEEP}}}
    running = daemon(**configuration)
    running.wait_phase("w")
    assert listening(running) == set()
    running.write_config({**configuration, "metrics": {"listen": f"127.0.0.1:{port}", "workers": False}})
    running.ctl("reloadconfig")
    until(lambda: serving(port), why="the endpoint")
    assert listening(running) == {("127.0.0.1", port)}
    assert not [name for name, _ in scraped(port) if name.startswith("worker_cpu")]
    running.write_config(configuration)
    running.ctl("reloadconfig")
    until(lambda: not serving(port), why="the endpoint to close")


def test_it_comes_back_with_the_next_arbiter_and_waits_for_an_address_that_is_taken(
    daemon: StartDaemon, port: int
) -> None:
    running = daemon(metrics={"listen": f"127.0.0.1:{port}"}, watchers={"w": {"cmd": SLEEP}})
    until(lambda: serving(port), why="the endpoint")
    pid = until(lambda: arbiter_of(running.pid))
    os.kill(pid, signal.SIGKILL)
    until(lambda: arbiter_of(running.pid) not in (pid, None), why="the next arbiter")
    until(lambda: serving(port), why="the endpoint of the next arbiter")


def test_an_address_that_is_taken_is_told_and_supervision_goes_on(daemon: StartDaemon) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        running = daemon(metrics={"listen": f"127.0.0.1:{taken.getsockname()[1]}"}, watchers={"w": {"cmd": SLEEP}})
        running.wait_phase("w")
        until(lambda: "cannot serve metrics" in running.output, why="a word about it")


def test_slow_and_many_clients_cost_neither_threads_nor_the_next_scrape(daemon: StartDaemon, port: int) -> None:
    running = daemon(metrics={"listen": f"127.0.0.1:{port}"}, watchers={"w": {"cmd": SLEEP}})
    until(lambda: serving(port), why="the endpoint")
    clients = [socket.create_connection(("127.0.0.1", port)) for _ in range(60)]
    try:
        pid = until(lambda: arbiter_of(running.pid))
        assert len(os.listdir(f"/proc/{pid}/task")) < 20
        running.ctl("status")
        until(lambda: serving(port), 20, "a scrape, once the silent ones have been given up")
    finally:
        for client in clients:
            client.close()


def listening(running: Daemon) -> set[tuple[str, int]]:
    """TCP of the daemon's own processes, by the kernel's word."""
    inodes = set()
    for pid in (running.pid, *(pid for pid, line in children_of(running.pid).items() if "circus_cg" in line)):
        for fd in os.listdir(f"/proc/{pid}/fd"):
            try:
                inodes.add(os.readlink(f"/proc/{pid}/fd/{fd}"))
            except FileNotFoundError:
                continue
    found = set()
    with open("/proc/net/tcp") as lines:
        for line in list(lines)[1:]:
            words = line.split()
            if words[3] == "0A" and f"socket:[{words[9]}]" in inodes:
                address, port_ = words[1].split(":")
                found.add((socket.inet_ntoa(bytes.fromhex(address)[::-1]), int(port_, 16)))
    return found


def test_a_server_that_waits_for_a_scrape_does_not_look_at_the_clock(daemon: StartDaemon, port: int) -> None:
    running = daemon(metrics={"listen": f"127.0.0.1:{port}"}, watchers={"w": {"cmd": SLEEP}})
    running.wait_phase("w")
    fetched(port)
    arbiter = arbiter_of(running.pid)
    until(lambda: wake_ups(arbiter, 1.0) < 10, 20, "a second in which none of its threads wakes up again and again")


def wake_ups(pid: int, seconds: float) -> int:
    """Of all threads together."""
    before = switches(pid)
    time.sleep(seconds)
    return switches(pid) - before


def switches(pid: int) -> int:
    told = (task.read_text().splitlines() for task in Path(f"/proc/{pid}/task").glob("*/status"))
    return sum(int(line.split()[1]) for lines in told for line in lines if line.startswith("voluntary_ctxt_switches"))
