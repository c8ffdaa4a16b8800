"""What circus's clients hear: records and usage, in its words, while somebody listens."""

from __future__ import annotations

from circus_cg.arbiter.arbiter import Arbiter
from circus_cg.arbiter.sampler import Listener, Sample
from circus_cg.core.record import Record
from circus_cg.rpc import topics
from circus_cg.rpc.publisher import Publisher

EVERY = 1.0  # seconds, as circusd-stats


class Publishing:
    def __init__(self, arbiter: Arbiter, endpoint: str) -> None:
        self._arbiter = arbiter
        self._publisher = Publisher(self._on_change)
        self._stats: Listener | None = None
        self._publisher.bind(endpoint)
        arbiter.journal.listeners.append(self._on_record)

    def close(self) -> None:
        self._arbiter.journal.listeners.remove(self._on_record)
        self._publisher.close()

    def _on_record(self, record: Record) -> None:
        if not self._publisher.prefixes:
            return
        if (message := topics.event(record)) is not None and self._publisher.wants(message[0]):
            self._publisher.send(*message)

    def _on_change(self) -> None:
        wanted = self._publisher.wants(topics.STATS.rstrip("."))
        if wanted and self._stats is None:
            self._stats = Listener(self._wants_usage, EVERY, self._on_sample)
            self._arbiter.sampler.add(self._stats)
        elif not wanted and self._stats is not None:
            self._arbiter.sampler.remove(self._stats)
            self._stats = None

    def _wants_usage(self, watcher: str) -> bool:
        return self._publisher.wants(f"{topics.STATS}{topics.resource(watcher)}")

    def _on_sample(self, sample: Sample) -> None:
        for watcher, found in sample.items():
            for topic, body in topics.stats(watcher, found["workers"]):
                if self._publisher.wants(topic):
                    self._publisher.send(topic, body)
