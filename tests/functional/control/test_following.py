"""`events --follow` from afar: over CURVE it is told the same as here, as far as its key goes, and why it ends."""

from __future__ import annotations

import os
import signal

from tests.conftest import until
from tests.functional.control.afar import Afar
from tests.functional.control.conftest import StartAfar
from tests.functional.following import Following


def follow(running: Afar, client_key: str, *arguments: str) -> Following:
    before = subscriptions(running)
    following = Following(running.daemon, *arguments, where=running.where(client_key))
    until(lambda: subscriptions(running) == before + 1, why="its subscription")
    return following


def subscriptions(running: Afar) -> int:
    found = running.daemon.ctl("debug")["arbiter"]["queues"]["subscriptions"]
    assert isinstance(found, int)
    return found


def pid_of(running: Afar, watcher: str) -> int:
    return int(running.daemon.wait_phase(watcher)[0]["pid"])


def test_who_follows_from_afar_is_told_at_once_of_its_watchers_alone(afar: StartAfar) -> None:
    running = afar()
    running.daemon.wait_phase("web")
    with follow(running, running.own_key("alice", "observe", "web*"), "--stats", "0.5") as following:
        running.daemon.ctl("restart", "db")
        os.kill(pid_of(running, "web"), signal.SIGTERM)
        (ended,) = following.wait("exit")
        following.wait("ready")
        assert (ended["watcher"], ended["wid"]) == ("web", 1)
        until(lambda: [one for one in following.messages if "stats" in one], why="usage")
        assert {event["watcher"] for event in following.events} == {"web"}
        assert {name for one in following.messages for name in one.get("stats", {})} == {"web", "web-2"}
    until(lambda: subscriptions(running) == 0, why="its end to be heard")


def test_who_follows_from_afar_learns_of_the_gap_when_the_arbiter_dies(afar: StartAfar) -> None:
    running = afar()
    running.daemon.wait_phase("web")
    with follow(running, running.own_key("alice", "observe")) as following:
        os.kill(pid_of(running, "web"), signal.SIGTERM)
        following.wait("exit")
        os.kill(running.arbiter, signal.SIGKILL)
        until(lambda: any(message.get("lost", 0) is None for message in following.messages), 30, "the gap")
        os.kill(pid_of(running, "web"), signal.SIGTERM)
        following.wait("exit", 2, seconds=20)
        numbers = [event["seq"] for event in following.events]
        assert numbers == sorted(set(numbers)), "told twice, or out of order"


def test_who_follows_from_afar_gets_every_event_of_a_storm(afar: StartAfar) -> None:
    """More than its credit and than its connection's queue take at once."""
    running = afar()
    running.daemon.ctl("set", "web", "numprocesses=40")
    running.daemon.wait_phase("web", count=40)
    with follow(running, running.own_key("alice", "observe")) as following:
        first = running.daemon.ctl("events")["seq"]
        for _ in range(8):
            running.daemon.ctl("restart", "web")
        last = running.daemon.ctl("events")["seq"]
        assert last - first > 800
        until(lambda: following.events and following.events[-1]["seq"] >= last, 30, "the last event")
        numbers = [event["seq"] for event in following.events if first < event["seq"] <= last]
        assert numbers == list(range(first + 1, last + 1))


def test_following_from_afar_ends_with_its_key_and_with_the_daemon(afar: StartAfar) -> None:
    running = afar()
    revoked = follow(running, running.own_key("alice", "observe"))
    other = follow(running, running.own_key("bob", "observe"))
    running.keys("revoke", "alice")
    assert revoked.end() == 7
    os.kill(pid_of(running, "web"), signal.SIGTERM)
    other.wait("exit")
    assert revoked.of("exit") == []
    running.daemon.ctl("quit")
    assert other.end() == 5
