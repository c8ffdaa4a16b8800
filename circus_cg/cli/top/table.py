"""Two looks made rates, rows, and lines; pure but for the style of a terminal."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from circus_cg.units import format_bytes, format_seconds

Row = dict[str, Any]

HEADINGS = ("NAME", "STATE", "PID", "CPU%", "OF", "THR%", "MEMORY", "MAX", "MEM%", "PSI", "PIDS", "RESTARTS", "UP")
LEFT = 2  # columns that are flush left
WIDE = 90.0  # percent of a limit, from which on it is shown as such

# How rows are sorted; None comes last.
KEYS: dict[str, Callable[[Row], Any]] = {
    "cpu": lambda row: row["cpu"],
    "throttled": lambda row: row["throttled"],
    "memory": lambda row: row["memory"],
    "limit": lambda row: row["memory_percent"],
    "pressure": lambda row: row["pressure_most"],
    "restarts": lambda row: row["restarts"],
    "name": lambda row: row["name"],
}


class Look:
    """One answer of the daemon, its watchers and workers by what they are."""

    def __init__(self, answer: dict[str, Any]) -> None:
        self.clock: float = answer["clock"]
        self.host: dict[str, Any] = answer["host"]
        self.watchers: list[dict[str, Any]] = answer["watchers"]
        self.counters = {key: one for watcher in self.watchers for key, one in _keyed(watcher)}


class Table:
    def __init__(self, sort: str, workers: bool) -> None:
        self.sort, self.workers = sort, workers
        self._before: Look | None = None
        self._now: Look | None = None

    def add(self, look: Look) -> None:
        self._before, self._now = self._now, look

    def document(self) -> dict[str, Any]:
        return {"host": self._now.host if self._now else None, "watchers": self.rows()}

    def rows(self) -> list[Row]:
        """Watchers as sorted, each with its `workers`, sorted the same way."""
        if self._now is None:
            return []
        found = []
        for watcher in self._now.watchers:
            name = watcher["name"]
            row = self._row(name, (name, 0, 0), watcher, watcher["status"])
            workers = [
                self._row(f"{name}.{one['wid']}", (name, one["wid"], one["generation"]), one, _state(one))
                for one in watcher["workers"]
            ]
            row["throttled"] = _together([row["throttled"], *(one["throttled"] for one in workers)])
            found.append({**row, "workers": self._sorted(workers) if self.workers else []})
        return self._sorted(found)

    def lines(self) -> list[str]:
        """Headings first. What is near its limit stands out."""
        flat = [row for watcher in self.rows() for row in (watcher, *watcher["workers"])]
        cells = [_cells(row) for row in flat]
        widths = [max(len(row[i]) for row in [HEADINGS, *cells]) for i in range(len(HEADINGS))]
        lines = [_aligned(HEADINGS, widths)]
        for row, texts in zip(flat, cells, strict=True):
            lines.append(click.style(_aligned(texts, widths), **_style(row)))
        return lines

    def heading(self, name: str) -> str:
        if self._now is None:
            return name
        host = self._now.host
        load = " ".join(f"{one:.2f}" for one in host["load"])
        return f"{name}: {host['cpus']} CPUs, {format_bytes(host['memory'])} of memory, load {load}; by {self.sort}"

    # -- details ---------------------------------------------------------------------------------

    def _sorted(self, rows: list[Row]) -> list[Row]:
        key = KEYS[self.sort]
        if self.sort == "name":
            return sorted(rows, key=lambda row: _natural(row["name"]))
        return sorted(rows, key=lambda row: (key(row) is None, -(key(row) or 0), _natural(row["name"])))

    def _row(self, name: str, key: tuple[str, int, int], one: dict[str, Any], state: str) -> Row:
        cpu = self._rate(key, "cpu_seconds")
        throttled = self._rate(key, "throttled_seconds")
        pressure = {
            resource: (one["pressure"] or {}).get(resource, {}).get("some", {}).get("avg10")
            for resource in ("cpu", "memory", "io")
        }
        told = [value for value in pressure.values() if value is not None]
        memory, limit = one["memory"], one["memory_max"]
        return {
            "name": name,
            "state": state,
            "pid": one.get("pid"),
            "cpu": None if cpu is None else round(100 * cpu, 1),
            "cpu_max": one["cpu_max"],
            "throttled": None if throttled is None else round(100 * throttled, 1),
            "memory": memory,
            "memory_max": limit,
            "memory_percent": None if memory is None or not limit else round(100 * memory / limit, 1),
            "pressure": pressure,
            "pressure_most": max(told, default=None),
            "pids": one["pids"],
            "restarts": one["restarts"],
            "age": one.get("age"),
        }

    def _rate(self, key: tuple[str, int, int], counter: str) -> float | None:
        """Per second since the look before; of a life that began meanwhile since its beginning."""
        assert self._now is not None
        now = self._now.counters[key]
        if now[counter] is None or self._before is None:
            return None
        span = self._now.clock - self._before.clock
        before = self._before.counters.get(key)
        used = now[counter] - (before[counter] or 0.0 if before else 0.0)
        if before is None:
            if key[1] == 0:
                return None  # a watcher's group counts on from lives that nobody looked at
            span = min(span, now["age"]) if now.get("age") else span
        return max(0.0, used / span) if span > 0 else None


def _together(rates: list[float | None]) -> float | None:
    """Each group counts what its own quota held up, and nothing of those below."""
    told = [rate for rate in rates if rate is not None]
    return round(sum(told), 1) if told else None


def _keyed(watcher: dict[str, Any]) -> list[tuple[tuple[str, int, int], dict[str, Any]]]:
    name = watcher["name"]
    return [((name, 0, 0), watcher), *(((name, one["wid"], one["generation"]), one) for one in watcher["workers"])]


def _state(worker: dict[str, Any]) -> str:
    return "frozen" if worker["frozen"] else str(worker["phase"])


def _cells(row: Row) -> tuple[str, ...]:
    is_worker = "workers" not in row
    return (
        f"  {row['name']}" if is_worker else row["name"],
        row["state"],
        _text(row["pid"]),
        _percent(row["cpu"]),
        "-" if row["cpu_max"] is None else f"{100 * row['cpu_max']:.0f}",
        _percent(row["throttled"]),
        _size(row["memory"]),
        _size(row["memory_max"]),
        _percent(row["memory_percent"]),
        "/".join("-" if value is None else f"{value:.0f}" for value in row["pressure"].values()),
        _text(row["pids"]),
        str(row["restarts"]),
        "-" if row["age"] is None else format_seconds(row["age"]),
    )


def _aligned(cells: tuple[str, ...], widths: list[int]) -> str:
    pairs = enumerate(zip(cells, widths, strict=True))
    put = [cell.ljust(width) if i < LEFT else cell.rjust(width) for i, (cell, width) in pairs]
    return "  ".join(put).rstrip()


def _style(row: Row) -> dict[str, Any]:
    if row["state"] in ("failed", "stopped"):
        return {"fg": "red"}
    if (row["memory_percent"] or 0) >= WIDE or (row["throttled"] or 0) > 0:
        return {"fg": "yellow"}
    return {"bold": True} if "workers" in row else {}


def _natural(name: str) -> list[tuple[int, str]]:
    """web.10 comes after web.9."""
    return [(int(part) if part.isdecimal() else -1, part) for part in name.split(".")]


def _text(value: object) -> str:
    return "-" if value is None else str(value)


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"


def _size(value: int | None) -> str:
    return "-" if value is None else format_bytes(value)
