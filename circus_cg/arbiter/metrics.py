"""What watchers and workers use, by HTTP for Prometheus (OpenMetrics): read on a scrape and never otherwise.

HTTP is served by threads, a few at most, that ask the loop for one snapshot each. Whoever reaches the address may read.
"""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from prometheus_client import CollectorRegistry, make_wsgi_app
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from circus_cg import __version__
from circus_cg.arbiter.arbiter import Arbiter
from circus_cg.arbiter.snapshot import snapshot
from circus_cg.core.tally import Tally
from circus_cg.keeper.log import say

PATH = "/metrics"
AT_ONCE = 4  # scrapes
SLOW = 5.0  # seconds that a client, or the loop, may take
LISTEN_AGAIN = 10.0  # seconds, while somebody else has the address

Document = dict[str, Any]


class Metrics:
    def __init__(self, arbiter: Arbiter, listen: str, *, workers: bool) -> None:
        self.listen, self.workers = listen, workers
        self._arbiter = arbiter
        self._loop = asyncio.get_running_loop()
        self._tally = Tally()
        self._closed = threading.Event()
        self._lock = threading.Lock()  # over the two: shutdown() waits for ever for a server that will not serve
        self._server: _Server | None = None
        self._thread = threading.Thread(target=self._run, name="metrics", daemon=True)

    def begin(self) -> None:
        self._arbiter.journal.listeners.append(self._tally.add)
        self._thread.start()

    def close(self) -> None:
        with suppress(ValueError):
            self._arbiter.journal.listeners.remove(self._tally.add)
        with self._lock:
            self._closed.set()
            server = self._server
        if server is not None:  # it serves, or is about to: then it ends at once
            server.end()
        self._thread.join(1.0)

    # -- in threads ------------------------------------------------------------------------------

    def _run(self) -> None:
        registry = CollectorRegistry(auto_describe=False)
        registry.register(_Collector(self.ask))
        said = False
        while not self._closed.is_set():
            try:
                server = _Server(self.listen, _only_metrics(make_wsgi_app(registry)))
            except OSError as failed:
                if not said:
                    say("arbiter", f"cannot serve metrics on {self.listen}: {failed.strerror}; tried again and again")
                said = True
                self._closed.wait(LISTEN_AGAIN)
                continue
            with server:
                with self._lock:
                    if self._closed.is_set():
                        return
                    self._server = server
                server.serve_forever(poll_interval=None)  # type: ignore[arg-type]  # until somebody comes, or end()
            return

    def ask(self) -> tuple[Document, Tally, Document]:
        """Raises TimeoutError when the loop has no time."""
        asked = asyncio.run_coroutine_threadsafe(self._look(), self._loop)
        try:
            return asked.result(SLOW)
        finally:
            asked.cancel()

    async def _look(self) -> tuple[Document, Tally, Document]:
        found = await snapshot(self._arbiter, list(self._arbiter.runners.values()), workers=self.workers)
        counted = Tally()
        for name in ("exits", "restarts", "decisions"):
            getattr(counted, name).update(getattr(self._tally, name))
        history = self._arbiter.history
        own = {"name": self._arbiter.boot.spec.name, "lost": None if history is None else history.lost}
        return found, counted, own


class _Server(ThreadingMixIn, WSGIServer):
    """Beyond AT_ONCE connections the next are closed at once: nobody piles up threads in the arbiter."""

    daemon_threads = True

    def __init__(self, listen: str, app: Callable[..., Iterable[bytes]]) -> None:
        host, _, port = listen.rpartition(":")
        self.address_family = socket.AF_INET6 if "[" in host else socket.AF_INET
        self._room = threading.BoundedSemaphore(AT_ONCE)
        super().__init__((host.strip("[]"), int(port)), _Handler)
        self.set_app(app)

    def server_bind(self) -> None:
        """Without the name service, which the standard library would ask for our own name."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])
        self.setup_environ()

    def process_request(self, request: Any, client_address: Any) -> None:
        if self._room.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._room.release()

    def end(self) -> None:
        """What wakes the waiting thread is that nobody can come any more: nothing looks at the clock for this."""
        with suppress(OSError):  # it has ended
            self.socket.shutdown(socket.SHUT_RDWR)
        self.shutdown()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away, or said nothing in time."""


class _Handler(WSGIRequestHandler):
    timeout = SLOW

    def log_message(self, format: str, *args: Any) -> None:
        """No scrape is worth a line."""

    def address_string(self) -> str:
        return str(self.client_address[0])


def _only_metrics(app: Callable[..., Iterable[bytes]]) -> Callable[..., Iterable[bytes]]:
    def serve(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if environ.get("PATH_INFO") != PATH:
            start_response("404 Not Found", [("Content-Type", "text/plain; charset=utf-8")])
            return [f"what there is is at {PATH}\n".encode()]
        try:
            return app(environ, start_response)
        except TimeoutError:
            start_response("503 Service Unavailable", [("Content-Type", "text/plain; charset=utf-8")])
            return [b"the arbiter had no time to answer\n"]

    return serve


class _Collector(Collector):
    def __init__(self, ask: Callable[[], tuple[Document, Tally, Document]]) -> None:
        self._ask = ask

    def collect(self) -> Iterator[Metric]:
        found, counted, own = self._ask()
        yield InfoMetricFamily("circus_cg", "The daemon", {"version": __version__, "name": own["name"]})
        yield from _watchers(found["watchers"])
        yield from _usage("watcher", ["watcher"], [([one["name"]], one) for one in found["watchers"]])
        workers = [([w["name"], str(one["wid"])], one) for w in found["watchers"] for one in w["workers"]]
        if workers:
            yield from _usage("worker", ["watcher", "wid"], workers)
        yield from _counted(counted)
        if own["lost"] is not None:
            lost = CounterMetricFamily("circus_cg_history_lost_events", "Events that the disk did not take")
            lost.add_metric([], own["lost"])
            yield lost


def _watchers(found: list[Document]) -> Iterator[Metric]:
    wanted = GaugeMetricFamily("circus_cg_watcher_workers_wanted", "How many workers are wanted", labels=["watcher"])
    phases = GaugeMetricFamily("circus_cg_watcher_workers", "Workers by phase", labels=["watcher", "phase"])
    for one in found:
        wanted.add_metric([one["name"]], one["numprocesses"])
        for phase, count in one["phases"].items():
            phases.add_metric([one["name"], phase], count)
    yield wanted
    yield phases


# field of a snapshot -> (name, what it is, unit); a limit that is not set has no series
_COUNTERS = {
    "cpu_seconds": ("cpu_seconds", "CPU time used", "seconds"),
    "throttled_seconds": ("cpu_throttled_seconds", "Time in which its CPU quota held it up", "seconds"),
    "periods": ("cpu_periods", "Periods of its CPU quota", ""),
    "throttled_periods": ("cpu_throttled_periods", "Periods in which its CPU quota was used up", ""),
}
_GAUGES = {
    "memory": ("memory_bytes", "Memory used", "bytes"),
    "memory_peak": ("memory_peak_bytes", "The most memory used", "bytes"),
    "memory_max": ("memory_limit_bytes", "Its memory_max", "bytes"),
    "cpu_max": ("cpu_limit_cpus", "Its cpu_max", "cpus"),
    "pids": ("processes", "Processes and threads", ""),
    "pids_max": ("processes_limit", "Its pids_max", ""),
}


def _usage(whose: str, labels: list[str], found: list[tuple[list[str], Document]]) -> Iterator[Metric]:
    for kinds, family in ((_COUNTERS, CounterMetricFamily), (_GAUGES, GaugeMetricFamily)):
        for field, (name, text, unit) in kinds.items():
            metric = family(f"circus_cg_{whose}_{name}", text, labels=labels, unit=unit)
            for values, one in found:
                if one[field] is not None:
                    metric.add_metric(values, one[field])
            if metric.samples:
                yield metric
    stalled = CounterMetricFamily(
        f"circus_cg_{whose}_pressure_stall_seconds",
        "Time in which some, or all, of it waited for a resource (PSI)",
        labels=[*labels, "resource", "share"],
        unit="seconds",
    )
    for values, one in found:
        for resource, shares in (one["pressure"] or {}).items():
            for share, told in shares.items():
                stalled.add_metric([*values, resource, share], told["total"] / 1e6)
    if stalled.samples:
        yield stalled


def _counted(counted: Tally) -> Iterator[Metric]:
    for name, text, label, counts in (
        ("worker_exits", "Ends of workers, since the arbiter began", "reason", counted.exits),
        ("worker_restarts", "New lives after an end, by why that was", "reason", counted.restarts),
        ("decisions", "What policies decided, since the arbiter began", "verdict", counted.decisions),
    ):
        metric = CounterMetricFamily(f"circus_cg_{name}", text, labels=["watcher", label])
        for key, count in sorted(counts.items()):
            metric.add_metric(list(key), count)
        yield metric
