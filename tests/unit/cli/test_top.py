"""Two looks at counters become rates; rows are sorted by what is asked for, unknown values last."""

from __future__ import annotations

from typing import Any

import click
import pytest

from circus_cg.cli.top.table import KEYS, Look, Table

MB = 1 << 20
UNKNOWN: dict[str, Any] = dict.fromkeys(
    ("cpu_seconds", "throttled_seconds", "memory", "memory_max", "pids", "cpu_max", "pressure")
)


def worker(wid: int, generation: int = 1, **more: Any) -> dict[str, Any]:
    known = {"wid": wid, "generation": generation, "pid": 100 + wid, "phase": "ready", "frozen": False, "restarts": 0}
    return {**UNKNOWN, **known, "age": 60.0, **more}


def watcher(name: str, *workers: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {**UNKNOWN, "name": name, "status": "active", "restarts": 0, "workers": list(workers), **more}


def look(clock: float, *watchers: dict[str, Any]) -> Look:
    return Look({"clock": clock, "host": {"cpus": 2, "memory": 8 << 30, "load": [0, 0, 0]}, "watchers": list(watchers)})


def table(*looks: Look, sort: str = "cpu", workers: bool = True) -> Table:
    made = Table(sort, workers)
    for one in looks:
        made.add(one)
    return made


def test_rates_are_between_the_two_last_looks() -> None:
    before = look(10.0, watcher("web", worker(1, cpu_seconds=5.0, throttled_seconds=1.0), cpu_seconds=50.0))
    now = look(12.0, watcher("web", worker(1, cpu_seconds=6.0, throttled_seconds=1.5), cpu_seconds=51.5))
    (row,) = table(before, now).rows()
    assert (row["cpu"], row["workers"][0]["cpu"], row["workers"][0]["throttled"]) == (75.0, 50.0, 25.0)
    assert row["throttled"] == 25.0, "a watcher is held up by its own quota and by its workers'"


def test_the_first_look_alone_tells_no_rate() -> None:
    (row,) = table(look(10.0, watcher("web", worker(1, cpu_seconds=5.0), cpu_seconds=5.0))).rows()
    assert row["cpu"] is None and row["workers"][0]["cpu"] is None


def test_a_new_life_is_measured_from_its_beginning_and_never_against_the_one_before() -> None:
    before = look(10.0, watcher("web", worker(1, 1, cpu_seconds=500.0), cpu_seconds=500.0))
    now = look(12.0, watcher("web", worker(1, 2, cpu_seconds=0.5, age=0.5), cpu_seconds=501.0))
    (row,) = table(before, now).rows()
    assert row["workers"][0]["cpu"] == 100.0


def test_a_counter_that_went_back_is_no_negative_use() -> None:
    before, now = look(10.0, watcher("web", cpu_seconds=9.0)), look(12.0, watcher("web", cpu_seconds=1.0))
    assert table(before, now).rows()[0]["cpu"] == 0.0


PRESSURE = {"cpu": {"some": {"avg10": 7.0}}, "memory": {"some": {"avg10": 30.0}}}


@pytest.mark.parametrize(
    ("sort", "first"),
    [("memory", "big"), ("limit", "full"), ("pressure", "waiting"), ("restarts", "crashing"), ("name", "big")],
)
def test_the_most_of_it_comes_first_and_what_is_not_told_last(sort: str, first: str) -> None:
    found = table(
        look(
            1.0,
            watcher("unknown"),
            watcher("full", memory=10 * MB, memory_max=10 * MB),
            watcher("big", memory=90 * MB, memory_max=900 * MB),
            watcher("crashing", restarts=9),
            watcher("waiting", pressure=PRESSURE),
        ),
        sort=sort,
    ).rows()
    assert found[0]["name"] == first
    if sort not in ("name", "restarts"):
        assert KEYS[sort](found[-1]) is None


def test_the_tenth_worker_comes_after_the_ninth() -> None:
    nine_and_ten = look(1.0, watcher("web", worker(10), worker(9)))
    (row,) = table(nine_and_ten, sort="name").rows()
    assert [one["name"] for one in row["workers"]] == ["web.9", "web.10"]


def test_lines_are_aligned_and_what_is_near_its_limit_stands_out_where_there_is_colour() -> None:
    found = table(look(1.0, watcher("web", worker(1, memory=95 * MB, memory_max=100 * MB)), watcher("db")))
    lines = found.lines()
    plain = [click.unstyle(line) for line in lines]
    assert [line.split()[0] for line in plain] == ["NAME", "db", "web", "web.1"]
    assert plain[3].startswith("  web.1") and "95.0" in plain[3]
    assert "\x1b[33m" in lines[3] and "\x1b[33m" not in lines[1]
    assert len({line.index("MAX") for line in plain if "MAX" in line} | {plain[3].index("100M") + 1}) == 1
    assert len(table(look(1.0, watcher("web", worker(1))), workers=False).lines()) == 2
