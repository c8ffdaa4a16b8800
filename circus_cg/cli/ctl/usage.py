"""ps, stats, dstats."""

from __future__ import annotations

from typing import Any

import click

from circus_cg.cli.ctl.parameters import json_option, names_argument, watch_option
from circus_cg.cli.ctl.scaling import scaling_lines
from circus_cg.cli.ctl.session import Session
from circus_cg.cli.ctl.watching import Document, report
from circus_cg.cli.output import aligned
from circus_cg.host import clock
from circus_cg.units import format_bytes, format_seconds

PS = ("WATCHER", "WID", "GEN", "PID", "PHASE", "UP", "RESTARTS", "LAST EXIT", "MEMORY", "PEAK", "CPU", "CGROUP")
STATS = ("WATCHER", "WID", "PID", "CPU%", "CPU", "MEMORY", "PEAK", "LIMIT", "PIDS", "UP")
EXTENDED = ("WATCHER", "WID", "PID", "CPU%", "MEM%", "RSS", "VMS", "CTIME", "NICE", "USER", "AGE", "COMMAND")
DSTATS = ("PID", "CPU%", "MEM%", "RSS", "VMS", "CTIME", "AGE", "COMMAND")
RIGHT = {"WID", "GEN", "PID", "UP", "RESTARTS", "MEMORY", "PEAK", "CPU", "CPU%", "LIMIT", "PIDS"}
RIGHT |= {"MEM%", "RSS", "VMS", "CTIME", "NICE", "AGE"}


@click.command()
@names_argument
@json_option
@watch_option
@click.pass_obj
def ps(session: Session, names: tuple[str, ...], json_: bool, watch: float | None) -> None:
    """One row a worker. Example: circus-cg ctl ps web --watch"""

    def lines(found: Document) -> list[str]:
        told = any(row["status"] for row in found["workers"])  # by the workers themselves: most have nothing to tell
        rows = [(*_ps_row(row), *([row["status"] or "-"] if told else [])) for row in found["workers"]]
        held = [f"{name} is held: {why}" for name, why in found.get("held", {}).items()]
        return aligned((*PS, "STATUS") if told else PS, rows, RIGHT) + held + scaling_lines(found)

    report(lambda: session.call("ps", name=list(names) or None, match="glob"), lines, json_=json_, watch=watch)


@click.command()
@names_argument
@click.option("--process", type=int, metavar="PID", help="Only this worker.")
@click.option("--extended", is_flag=True, help="What only /proc tells as well, for one watcher or process; slower.")
@json_option
@watch_option
@click.pass_obj
def stats(  # noqa: PLR0913 - click's parameters
    session: Session,
    names: tuple[str, ...],
    *,
    process: int | None,
    extended: bool,
    json_: bool,
    watch: float | None,
) -> None:
    """What workers use, by their groups; CPU% since the last look. Example: circus-cg ctl stats web --watch 5"""

    def ask() -> Document:
        return session.call("stats", name=list(names) or None, match="glob", process=process, extended=extended)

    def lines(found: Document) -> list[str]:
        infos = {found["watcher"]: {process: found["info"]}} if process is not None else found["infos"]
        row = _extended_row if extended else _stats_row
        rows = [row(name, info) for name, workers in infos.items() for info in workers.values()]
        if process is None and not extended:
            rows += [_stats_row(name, {**total, "pid": "all"}) for name, total in found["totals"].items()]
            rows.sort(key=lambda row: row[0])
        return aligned(EXTENDED if extended else STATS, rows, RIGHT)

    report(ask, lines, json_=json_, watch=watch)


@click.command()
@json_option
@click.pass_obj
def dstats(session: Session, json_: bool) -> None:
    """What the daemon's own processes use. Example: circus-cg ctl dstats"""

    def lines(found: Document) -> list[str]:
        own = found["info"]
        return aligned(DSTATS, [_dstats_row(one) for one in (own, *own["children"])], RIGHT)

    report(lambda: session.call("dstats"), lines, json_=json_)


def _ps_row(row: dict[str, Any]) -> tuple[str, ...]:
    last = row["last_exit"]
    return (
        row["watcher"],
        str(row["wid"]),
        str(row["generation"]),
        str(row["pid"] or "-"),
        ", ".join([row["phase"], *_marks(row)]),
        "-" if row["started"] is None else format_seconds(max(0.0, clock.wall() - row["started"])),
        str(row["restarts"]),
        "-" if last is None else _reason(last),
        _size(row["memory_current"]),
        _size(row["memory_peak"]),
        _cpu_seconds(row["cpu_seconds"]),
        row["cgroup"] or "-",
    )


def _marks(row: dict[str, Any]) -> list[str]:
    frozen = ["frozen"] if row["frozen"] else []
    unwell = [f"unready ({', '.join(row['unwell'])})"] if row["unwell"] else []
    return [*frozen, *row["says"], *unwell]


def _stats_row(name: str, info: dict[str, Any]) -> tuple[str, ...]:
    return (
        name,
        str(info.get("wid", "-")),
        str(info["pid"]),
        _percent(info["cpu"]),
        _cpu_seconds(info["cpu_seconds"]),
        _size(info["memory_current"]),
        _size(info["memory_peak"]),
        _size(info["memory_max"]),
        "-" if info["pids"] is None else str(info["pids"]),
        format_seconds(info["age"]) if "age" in info else "-",
    )


def _extended_row(name: str, info: dict[str, Any]) -> tuple[str, ...]:
    """A worker that ended meanwhile has no more than its group told."""
    return (
        name,
        str(info["wid"]),
        str(info["pid"]),
        _percent(info["cpu"]),
        _percent(info.get("mem")),
        info.get("mem_info1", "-"),
        info.get("mem_info2", "-"),
        info.get("ctime", "-"),
        str(info.get("nice", "-")),
        info.get("username", "-"),
        format_seconds(info["age"]),
        info.get("cmdline", "-"),
    )


def _dstats_row(info: dict[str, Any]) -> tuple[str, ...]:
    return (
        str(info["pid"]),
        _percent(info["cpu"]),
        _percent(info["mem"]),
        info["mem_info1"],
        info["mem_info2"],
        info["ctime"],
        format_seconds(info["age"]),
        info["cmdline"],
    )


def _reason(last: dict[str, Any]) -> str:
    if last["code"] is not None:
        return f"{last['reason']} {last['code']}"
    return f"{last['reason']} signal {last['signal']}" if last["signal"] is not None else str(last["reason"])


def _size(value: int | None) -> str:
    return "-" if value is None else format_bytes(value)


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"


def _cpu_seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}s"
