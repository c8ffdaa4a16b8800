"""Workers that end all the time, and their own books, against which a daemon's are checked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.functional.daemon import Row
from tests.functional.evidence import alive, lines_of, quoted, sh


class Churn:
    """Each life writes one line to `births` first, and ends within a second with a status that its pid tells."""

    def __init__(self, births: Path, numprocesses: int) -> None:
        self.births, self.numprocesses = births, numprocesses
        births.touch()
        script = (
            f"echo $$ $(grep -m1 -E '/[0-9]+[.][0-9]+$' /proc/self/cgroup | cut -d: -f3) >> {quoted(births)}; "
            f"sleep 0.$(($$ % 3 + 1)); exit $(($$ % 50 + 1))"
        )
        free = {"min_uptime": 0, "backoff": {"initial": 0}, "flapping": {"attempts": 0}}
        self.watcher: dict[str, Any] = {"cmd": sh(script), "numprocesses": numprocesses, **free}

    def lives(self) -> dict[tuple[int, int], int]:
        """(wid, generation) -> pid"""
        found = {}
        for pid, group in (line.split() for line in lines_of(self.births)):
            wid, _, generation = group.rpartition("/")[2].partition(".")
            found[int(wid), int(generation)] = int(pid)
        return found

    def statuses_arrived(self, rows: list[Row]) -> int:
        """How many last exits could be compared with what the life itself was going to say; all must agree."""
        compared, lives = 0, self.lives()
        for row in rows:
            ended = row["generation"] - 1 if row["phase"] in ("ready", "starting") else row["generation"]
            pid = lives.get((row["wid"], ended))
            if pid is not None and row["last_exit"] is not None and row["phase"] != "stopping":
                assert row["last_exit"]["code"] == pid % 50 + 1, row
                compared += 1
        return compared

    def nothing_was_lost_or_doubled(self) -> None:
        """When the watcher has been stopped. The stop may have caught a last life before its first line."""
        lives = self.lives()
        assert len(lives) == len(lines_of(self.births)), "a life was doubled"
        assert not any(alive(pid) for pid in lives.values())
        for wid in range(1, self.numprocesses + 1):
            generations = {generation for w, generation in lives if w == wid}
            missing = set(range(1, max(generations))) - generations
            assert not missing, f"lives of wid {wid} that never came to their first line: {sorted(missing)}"
