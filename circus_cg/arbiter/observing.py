"""Who looks on and may be missing: the history on disk. Begun when everybody is served, and by the configuration as it
is now.
"""

from __future__ import annotations

from circus_cg.arbiter.arbiter import Arbiter
from circus_cg.arbiter.history import FILE, History
from circus_cg.host.dirs import Dirs


class Observing:
    def __init__(self, arbiter: Arbiter, places: Dirs) -> None:
        self._arbiter, self._places = arbiter, places
        self.settle()

    def settle(self) -> None:
        """What the configuration wants now begins, what it does not want ends."""
        arbiter = self._arbiter
        wanted = arbiter.boot.spec.history.age > 0
        if wanted and arbiter.history is None:
            arbiter.history = History(arbiter, self._places.state / FILE)
            arbiter.history.begin()
        elif not wanted and arbiter.history is not None:
            arbiter.history.close()
            arbiter.history = None

    def close(self) -> None:
        if self._arbiter.history is not None:
            self._arbiter.history.close()
            self._arbiter.history = None
