"""Events counted: exits and restarts by reason, decisions by verdict. From the beginning of the one who counts."""

from __future__ import annotations

from collections import Counter

from circus_cg.core.record import Record

By = Counter[tuple[str, str]]  # (watcher, reason or verdict)


class Tally:
    def __init__(self) -> None:
        self.exits: By = Counter()
        self.restarts: By = Counter()
        self.decisions: By = Counter()
        self._ended: dict[tuple[str, int], str] = {}  # slots between two lives -> the reason of the last end

    def add(self, record: Record) -> None:
        slot = record.watcher, record.wid
        match record.kind:
            case "exit":
                reason = "unknown" if record.exit is None else record.exit.reason
                self.exits[record.watcher, reason] += 1
                # One that was asked to end keeps that as its reason: its signal is ours.
                if not (self._ended.get(slot) == "asked" and reason in ("exited", "signal", "killed")):
                    self._ended[slot] = reason
            case "stopping":
                self._ended[slot] = "asked"
            case "ready":
                reason = self._ended.pop(slot, "")
                if reason:
                    self.restarts[record.watcher, reason] += 1
            case "stopped" | "failed":
                self._ended.pop(slot, None)
            case "decision":
                self.decisions[record.watcher, record.verdict] += 1
            case "removed":
                self._forget(record.watcher)

    def _forget(self, watcher: str) -> None:
        """Else series of watchers that come and go would pile up for ever."""
        for counted in (self.exits, self.restarts, self.decisions):
            for key in [key for key in counted if key[0] == watcher]:
                del counted[key]
