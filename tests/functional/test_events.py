"""What happens is told: with numbers, to who asks later, to who follows, across the arbiter's death."""

from __future__ import annotations

import os
import signal
from typing import Any

import pytest

from tests.conftest import until
from tests.functional.conftest import StartDaemon
from tests.functional.daemon import Daemon, Refused
from tests.functional.evidence import arbiter_of, children_of, python, sh
from tests.functional.following import Following

SLEEP = ["sleep", "1000"]
HUNGRY = python("import time\nblocks = []\nwhile True:\n    blocks.append(bytearray(1 << 20))\n    time.sleep(0.001)")


def kill_arbiter(running: Daemon) -> None:
    pid = until(lambda: arbiter_of(running.pid), why="an arbiter")
    os.kill(pid, signal.SIGKILL)
    until(lambda: arbiter_of(running.pid) not in (pid, None), why="the next arbiter")
    running.wait_answering()


def pid_of(running: Daemon, watcher: str = "w") -> int:
    (row,) = running.wait_phase(watcher)
    return int(row["pid"])


def test_an_exit_is_told_with_its_signal_its_life_and_its_peak(daemon: StartDaemon) -> None:
    running = daemon(watchers={"w": {"cmd": SLEEP}})
    pid = pid_of(running)
    os.kill(pid, signal.SIGKILL)
    running.wait_phase("w")
    until(lambda: running.ctl("events", "-k", "exit")["events"])
    (event,) = running.ctl("events", "-k", "exit")["events"]
    assert (event["watcher"], event["wid"], event["generation"], event["pid"]) == ("w", 1, 1, pid)
    end = event["exit"]
    assert (end["code"], end["signal"], end["reason"]) == (None, 9, "signal")
    assert end["peak"] is None or end["peak"] > 0
    assert abs(end["at"] - event["at"]) < 5


def test_an_oom_kill_is_told_as_one_with_the_peak_at_the_limit(daemon: StartDaemon) -> None:
    running = daemon(watchers={"w": {"cmd": HUNGRY, "limits": {"memory_max": "32M"}, "max_retry": 0}})
    found = until(lambda: running.ctl("events", "-k", "exit")["events"], 30)
    assert found[0]["exit"]["reason"] == "oom"
    peak = found[0]["exit"]["peak"]
    assert peak is None or 30 << 20 < peak <= 33 << 20


def test_numbers_have_no_hole_and_since_goes_on_after_one(daemon: StartDaemon) -> None:
    running = daemon(watchers={"w": {"cmd": SLEEP}})
    running.wait_phase("w")
    for _ in range(3):
        running.ctl("restart", "w")
    found = running.ctl("events")
    numbers = [event["seq"] for event in found["events"]]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    assert found["lost"] == 0 and found["seq"] == numbers[-1]
    middle = numbers[len(numbers) // 2]
    after = running.ctl("events", "--since", str(middle))
    assert [event["seq"] for event in after["events"]] == [one for one in numbers if one > middle]
    assert [event["seq"] for event in running.ctl("events", "--limit", "2")["events"]] == numbers[-2:]
    assert running.ctl("events", "--since", str(numbers[-1])) == {"events": [], "lost": 0, "seq": numbers[-1]}


def test_what_the_ring_has_no_more_is_counted(daemon: StartDaemon) -> None:
    running = daemon(events_kept=100, watchers={"w": {"cmd": SLEEP, "numprocesses": 20}})
    running.wait_phase("w", count=20)
    first = running.ctl("events")["events"][0]["seq"]
    for _ in range(3):
        running.ctl("restart", "w")
    found = running.ctl("events", "--since", str(first), "--limit", "1000")
    assert len(found["events"]) == 100
    assert found["lost"] == found["events"][0]["seq"] - first - 1 > 0


def test_an_operators_decisions_are_events_of_the_watcher(daemon: StartDaemon) -> None:
    running = daemon(watchers={"w": {"cmd": SLEEP}})
    running.wait_phase("w")
    running.ctl("set", "w", "graceful_timeout=5s")
    running.ctl("stop", "w")
    running.ctl("rm", "w")
    whole = [(event["kind"], event["detail"]) for event in running.ctl("events")["events"] if event["wid"] is None]
    assert [told for told in whole if told[0] != "asked"] == [
        ("start", ""), ("change", "graceful_timeout"), ("stop", ""), ("stopped", ""), ("remove", ""), ("removed", ""),
    ]  # fmt: skip
    asked = [detail for kind, detail in whole if kind == "asked"]
    assert asked == ["set graceful_timeout by local", "stop by local", "rm by local"]


def test_who_follows_is_told_at_once_of_what_was_asked_for_and_no_more(daemon: StartDaemon) -> None:
    running = daemon(watchers={"web": {"cmd": SLEEP}, "other": {"cmd": SLEEP}})
    running.wait_phase("web"), running.wait_phase("other")
    since = running.ctl("events")["events"][0]["seq"] - 1
    with Following(running, "--watcher", "we*", "--since", str(since)) as following:
        following.wait("ready")
        os.kill(pid_of(running, "web"), signal.SIGTERM)
        following.wait("exit")
        following.wait("ready", 2)
        running.ctl("restart", "other")
        running.ctl("stop", "web")
        following.wait("stopped", 2)  # of the worker, of the watcher
        assert {event["watcher"] for event in following.events} == {"web"}
        numbers = [event["seq"] for event in following.events]
        assert numbers == sorted(set(numbers))


def test_who_only_follows_is_told_of_what_comes_and_of_nothing_before(daemon: StartDaemon) -> None:
    running = daemon(watchers={"w": {"cmd": SLEEP}})
    running.wait_phase("w")
    with Following(running, from_now=False) as following:
        until(lambda: running.ctl("debug")["arbiter"]["queues"]["subscriptions"] == 1, why="the subscription")
        before = running.ctl("events")["seq"]
        os.kill(pid_of(running), signal.SIGTERM)
        following.wait("ready")
        numbers = [event["seq"] for event in following.events]
        assert numbers == list(range(before + 1, before + 1 + len(numbers)))


def test_who_follows_learns_of_the_gap_when_the_arbiter_dies_and_of_all_after_it(daemon: StartDaemon) -> None:
    running = daemon(watchers={"w": {"cmd": SLEEP}})
    running.wait_phase("w")
    with Following(running) as following:
        os.kill(pid_of(running), signal.SIGTERM)
        following.wait("exit")
        kill_arbiter(running)
        until(lambda: any(message.get("lost", 0) is None for message in following.messages), 20, "the gap")
        os.kill(pid_of(running), signal.SIGTERM)
        following.wait("exit", 2, seconds=20)
        following.wait("ready", 2)
        numbers = [event["seq"] for event in following.events]
        assert numbers == sorted(set(numbers)), "told twice, or out of order"


def test_who_follows_gets_every_event_of_a_storm(daemon: StartDaemon) -> None:
    """More than the credit that is out at once."""
    running = daemon(watchers={"w": {"cmd": SLEEP, "numprocesses": 50}})
    running.wait_phase("w", count=50)
    with Following(running) as following:
        until(lambda: running.ctl("debug")["arbiter"]["queues"]["subscriptions"] == 1)
        first = running.ctl("events")["seq"]
        for _ in range(8):
            running.ctl("restart", "w")
        last = running.ctl("events")["seq"]
        until(lambda: following.events and following.events[-1]["seq"] >= last, 30, "the last event")
        assert [event["seq"] for event in following.events if event["seq"] <= last] == list(range(first + 1, last + 1))
        assert last - first > 1000


def test_following_ends_when_the_daemon_does_and_says_so(daemon: StartDaemon) -> None:
    running = daemon(watchers={})
    following = Following(running)
    until(lambda: running.ctl("debug")["arbiter"]["queues"]["subscriptions"] == 1)
    running.ctl("quit")
    assert following.end() == 5


def test_a_follower_that_stopped_asking_is_forgotten(daemon: StartDaemon) -> None:
    running = daemon(watchers={})
    with Following(running) as following:
        until(lambda: running.ctl("debug")["arbiter"]["queues"]["subscriptions"] == 1)
        following.process.send_signal(signal.SIGINT)
        until(lambda: running.ctl("debug")["arbiter"]["queues"]["subscriptions"] == 0)


def test_usage_is_read_only_while_somebody_listens(daemon: StartDaemon) -> None:
    running = daemon(watchers={"busy": {"cmd": sh("while :; do :; done")}, "w": {"cmd": SLEEP}})
    running.wait_phase("busy")
    assert running.ctl("debug")["arbiter"]["queues"]["sampling_for"] == 0
    with Following(running, "--stats", "0.5", "-w", "busy") as following:

        def samples() -> list[dict[str, Any]]:
            return [message for message in following.messages if "stats" in message]

        until(lambda: len(samples()) >= 3)
        assert running.ctl("debug")["arbiter"]["queues"]["sampling_for"] == 1
        last = samples()[-1]["stats"]
        assert list(last) == ["busy"]
        (worker,) = last["busy"]["workers"].values()
        assert worker["cpu"] > 10
    until(lambda: running.ctl("debug")["arbiter"]["queues"]["sampling_for"] == 0)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("-k", "exits"), "did you mean exit"),
        (("--follow", "--stats", "0.1"), "0.5 to 3600 seconds"),
        (("--stats", "1"), "needs --follow"),
    ],
)
def test_what_can_not_be_told_is_refused(daemon: StartDaemon, arguments: tuple[str, ...], told: str) -> None:
    running = daemon(watchers={})
    with pytest.raises(Refused, match=told):
        running.ctl("events", *arguments)


def test_the_daemons_own_processes_are_still_the_three(daemon: StartDaemon) -> None:
    running = daemon(watchers={"w": {"cmd": SLEEP}})
    running.wait_phase("w")
    with Following(running, "--stats", "0.5") as following:
        until(lambda: following.messages)
        assert len(children_of(running.pid)) == 3  # arbiter, launcher, the worker
