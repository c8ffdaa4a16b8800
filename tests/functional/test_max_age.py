"""Old workers are replaced by others that are ready before they go."""

from __future__ import annotations

from pathlib import Path

from tests.conftest import until
from tests.functional.conftest import StartDaemon
from tests.functional.daemon import Row
from tests.functional.evidence import alive, lines_of, quoted, sh


def life_of(log: Path, ready_after: float = 0.3) -> list[str]:
    name = "$$"
    return sh(
        f"trap 'sleep 0.1; echo down {name} >> {quoted(log)}; exit 0' TERM;"
        f"sleep {ready_after}; echo up {name} >> {quoted(log)}; echo ready >&3; exec 3>&-; while :; do sleep 0.05; done"
    )


def test_a_new_worker_is_ready_before_an_old_one_goes(daemon: StartDaemon, tmp_path: Path) -> None:
    log = tmp_path / "log"
    options = {"numprocesses": 2, "ready": "fd", "max_age": "2s", "max_age_variance": "1s"}
    daemon(watchers={"w": {"cmd": life_of(log), **options}})
    until(lambda: sum("down" in line for line in lines_of(log)) >= 4, 40, "four replacements")
    serving = most = 0
    for line in lines_of(log):
        serving += 1 if line.startswith("up") else -1
        most = max(most, serving)
        assert serving >= 2 or most < 2, "fewer than were asked for"
    assert most == 3, "never more than one beyond the count"


def test_its_end_is_told_as_age_and_it_counts_as_no_crash(daemon: StartDaemon, tmp_path: Path) -> None:
    running = daemon(watchers={"w": {"cmd": ["sleep", "1000"], "max_age": 1, "max_age_variance": 0}})
    (first,) = running.wait_phase("w")

    def replaced() -> Row | None:
        rows = running.workers("w")
        return rows[0] if len(rows) == 1 and rows[0]["pid"] not in (None, first["pid"]) else None

    now = until(replaced, why="the replacement")
    assert now is not None and (now["wid"], now["restarts"]) == (2, 0)
    assert not alive(first["pid"])
    ends = [one for one in running.ctl("events", "--kind", "exit")["events"]]
    assert {one["exit"]["reason"] for one in ends} == {"max-age"}


def test_a_singleton_is_replaced_in_its_place(daemon: StartDaemon) -> None:
    options = {"singleton": True, "max_age": 1, "max_age_variance": 0}
    running = daemon(watchers={"w": {"cmd": ["sleep", "1000"], **options}})
    (first,) = running.wait_phase("w")
    rows = until(lambda: [row for row in running.workers("w") if row["generation"] > 1], why="the next life")
    assert rows is not None
    assert [row["wid"] for row in rows] == [1]
    assert rows[0]["last_exit"]["reason"] == "max-age"
    assert not alive(first["pid"])


def test_one_whose_successor_does_not_become_ready_stays(daemon: StartDaemon, tmp_path: Path) -> None:
    log = tmp_path / "log"
    first_only = f"test -e {quoted(log)} && exit 1; touch {quoted(log)}; echo ready >&3; exec sleep 1000"
    options = {"ready": "fd", "max_age": 1, "max_age_variance": 0}
    running = daemon(watchers={"w": {"cmd": sh(first_only), **options}})
    (first,) = running.wait_phase("w")
    until(lambda: "does not take the place of 1" in running.output, why="the try")
    until(lambda: [row["phase"] for row in running.workers("w")] == ["ready"], why="the end of the try")
    assert running.workers("w")[0]["pid"] == first["pid"]
    assert alive(first["pid"])


def test_one_whose_successor_never_passes_its_checks_stays_and_that_one_goes(daemon: StartDaemon) -> None:
    check = {"exec": ["test", "$(circus.wid)", "=", "1"], "kind": "readiness", "interval": "200ms"}
    options = {"health": {"first": check}, "start_timeout": "1s", "max_age": 1, "max_age_variance": 0}
    running = daemon(watchers={"w": {"cmd": ["sleep", "1000"], **options}})
    (first,) = running.wait_phase("w")
    until(lambda: "it is ready and does not pass first after" in running.output, why="the end of the try")
    until(lambda: [row["wid"] for row in running.workers("w")] == [1], why="its end")
    assert running.workers("w")[0]["pid"] == first["pid"]
    assert alive(first["pid"])


def test_where_nothing_is_restarted_each_old_worker_ends(daemon: StartDaemon) -> None:
    options = {"numprocesses": 2, "restart": "never", "max_age": 1, "max_age_variance": 0}
    running = daemon(watchers={"w": {"cmd": ["sleep", "1000"], **options}})
    until(lambda: [row["phase"] for row in running.workers("w")] == ["done", "done"], why="the end of both")
