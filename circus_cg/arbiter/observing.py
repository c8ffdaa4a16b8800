"""Who looks on and may be missing: the history on disk, and the endpoint for Prometheus.

Begun when everybody is served already, and by the configuration as it is at each moment.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from circus_cg.arbiter.arbiter import Arbiter
from circus_cg.arbiter.history import FILE, History
from circus_cg.host.dirs import Dirs

if TYPE_CHECKING:  # 100 ms, only for who wants it
    from circus_cg.arbiter.metrics import Metrics


class Observing:
    def __init__(self, arbiter: Arbiter, places: Dirs) -> None:
        self._arbiter, self._places = arbiter, places
        self._metrics: Metrics | None = None
        self._ended: History | None = None  # turned off; a slow disk may still be taking its last words
        arbiter.on_reread.append(self.settle)
        self.settle()

    def settle(self) -> None:
        """What the configuration wants now begins, what it does not want ends."""
        wanted = self._arbiter.boot.spec
        kept = self._arbiter.history
        if wanted.history.age > 0 and kept is None:
            after = 0 if self._ended is None else self._ended.last
            self._arbiter.history = History(self._arbiter, self._places.state / FILE, after)
            self._arbiter.history.begin()
        elif wanted.history.age == 0 and kept is not None:
            kept.close()
            self._arbiter.history, self._ended = None, kept
        served = self._metrics
        if served is not None and (served.listen, served.workers) != (wanted.metrics.listen, wanted.metrics.workers):
            served.close()
            self._metrics = None
        if self._metrics is None and wanted.metrics.listen is not None:
            kind: type[Metrics] = importlib.import_module("circus_cg.arbiter.metrics").Metrics
            self._metrics = kind(self._arbiter, wanted.metrics.listen, workers=wanted.metrics.workers)
            self._metrics.begin()

    def close(self) -> None:
        if self._metrics is not None:
            self._metrics.close()
        if self._arbiter.history is not None:
            self._arbiter.history.close()
            self._arbiter.history = None
