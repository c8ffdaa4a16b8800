"""Whoever floods the endpoint, with a key or without, keeps nobody else from being served, and fills no memory."""

from __future__ import annotations

import socket
import time
from contextlib import ExitStack, suppress

import pytest
import zmq

from tests.conftest import until
from tests.functional.control.afar import open_fds, rss_mb
from tests.functional.control.conftest import StartAfar


def half_open(port: int, origin: str = "127.0.0.1") -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), source_address=(origin, 0))


def is_over(one: socket.socket) -> bool:
    one.setblocking(False)
    try:
        while one.recv(1000):
            pass
    except BlockingIOError:
        return False
    except ConnectionError:
        return True
    return True


def test_half_open_connections_end_and_keep_nobody_out(afar: StartAfar) -> None:
    running = afar(handshake_timeout="1500ms")
    pair = running.key("alice", "observe")
    arbiter = running.arbiter
    with running.client(pair) as peer:
        assert peer.ask("list")["status"] == "ok"
    memory, fds = rss_mb(arbiter), open_fds(arbiter)
    with ExitStack() as held:
        silent = [held.enter_context(half_open(running.port)) for _ in range(200)]
        until(lambda: open_fds(arbiter) >= fds + 150, why="them to be accepted")
        with running.client(pair) as peer:
            assert peer.ask("list")["status"] == "ok"
        assert rss_mb(arbiter) < memory + 10
        until(lambda: all(map(is_over, silent)), 10, "the half-open connections to end")
    until(lambda: open_fds(arbiter) <= fds + 5, why="their descriptors to be closed")


def test_the_oldest_half_open_connection_makes_room(afar: StartAfar) -> None:
    running = afar(connections=10, handshake_timeout="30s")
    pair = running.key("alice", "observe")
    with ExitStack() as held:
        silent = [held.enter_context(half_open(running.port)) for _ in range(60)]
        until(lambda: all(map(is_over, silent[:45])), 10, "the oldest to be ended")
        with running.client(pair) as peer:
            assert peer.ask("list")["status"] == "ok"
        assert not is_over(silent[-1])


def test_who_floods_from_one_address_ends_no_connection_from_another(afar: StartAfar) -> None:
    running = afar(connections=10, handshake_timeout="30s")
    with ExitStack() as held:
        slow = [held.enter_context(half_open(running.port, "127.0.0.3")) for _ in range(3)]
        flood = [held.enter_context(half_open(running.port, "127.0.0.2")) for _ in range(60)]
        until(lambda: all(map(is_over, flood[:50])), 10, "the flood's oldest to be ended")
        assert not any(map(is_over, slow)) and not any(map(is_over, flood[-5:]))


def test_no_key_has_more_than_half_of_the_connections(afar: StartAfar) -> None:
    running = afar(connections=10)
    greedy, other = running.key("greedy", "observe"), running.key("other", "observe")
    with ExitStack() as held:
        peers = [held.enter_context(running.client(greedy, RECONNECT_IVL=-1)) for _ in range(8)]
        for peer in peers:
            peer.send("list")
        answered = [peer for peer in peers if peer.answer(1) is not None]
        assert len(answered) == 5
        with running.client(other) as peer:
            assert peer.ask("list")["status"] == "ok"
    until(lambda: [line["result"] for line in running.audit].count("too many connections") >= 3)


def test_one_key_asks_no_faster_than_it_may_and_others_are_not_held_up(afar: StartAfar) -> None:
    running = afar(rate=20, burst=10, queue=5)
    greedy, other = running.key("greedy", "observe"), running.key("other", "observe")
    with running.client(greedy, RECONNECT_IVL=-1) as flood, running.client(other) as quiet:
        assert quiet.ask("list")["status"] == "ok"
        begun = time.monotonic()
        for _ in range(20):
            flood.send("list")
        replies = [flood.answer() for _ in range(20)]
        took = time.monotonic() - begun
        statuses = [reply["status"] for reply in replies if reply is not None]
        assert statuses.count("ok") >= 15 and "error" in statuses
        assert took >= 0.2, "the queue was served at once"
        assert quiet.ask("list", seconds=1)["status"] == "ok"
        with suppress(zmq.Again):  # it takes no more
            for _ in range(3000):
                flood.dealer.send(b'{"command": "list"}', zmq.NOBLOCK)
        flood.wait_event(zmq.EVENT_DISCONNECTED)
        assert quiet.ask("list", seconds=1)["status"] == "ok"


@pytest.mark.parametrize("size", [1, 1000])
def test_a_message_of_many_parts_is_refused_and_its_connection_ends(afar: StartAfar, size: int) -> None:
    running = afar()
    arbiter = running.arbiter
    other = running.key("other", "observe")
    with running.client(running.key("alice", "admin"), RECONNECT_IVL=-1) as peer, running.client(other) as quiet:
        assert peer.ask("list")["status"] == quiet.ask("list")["status"] == "ok"
        before = rss_mb(arbiter)
        count = 100_000 if size == 1 else 10_000
        peer.dealer.send_multipart([b"x" * size] * count)
        peer.wait_event(zmq.EVENT_DISCONNECTED, 30)
        assert quiet.ask("list", seconds=5)["status"] == "ok"
        assert rss_mb(arbiter) < before + 50
    assert running.arbiter == arbiter
    assert "too many parts" in [line["result"] for line in running.audit]


def test_a_big_frame_ends_its_connection(afar: StartAfar) -> None:
    running = afar()
    arbiter = running.arbiter
    with running.client(running.key("alice", "admin"), RECONNECT_IVL=-1) as peer:
        assert peer.ask("list")["status"] == "ok"
        before = rss_mb(arbiter)
        peer.dealer.send(b"x" * (64 << 20))
        peer.wait_event(zmq.EVENT_DISCONNECTED, 30)
        assert rss_mb(arbiter) < before + 20
    assert running.arbiter == arbiter


def test_who_reads_no_answers_is_disconnected_and_fills_no_memory(afar: StartAfar) -> None:
    running = afar(rate=100_000, burst=100_000)
    arbiter = running.arbiter
    slow, other = running.key("slow", "observe"), running.key("other", "observe")
    with running.client(other) as quiet:
        assert quiet.ask("list")["status"] == "ok"
        before, fds = rss_mb(arbiter), open_fds(arbiter)
        with running.client(slow, RCVHWM=1, RCVBUF=4096, RECONNECT_IVL=-1, SNDHWM=100_000) as peer:
            for number in range(20_000):
                peer.send("globaloptions")  # a long answer to a short question
                if number % 500 == 0:
                    assert quiet.ask("list", seconds=5)["status"] == "ok"
                    if "reads no answers" in [line["result"] for line in running.audit]:
                        break
            until(lambda: open_fds(arbiter) <= fds, why="its connection to end")
            assert rss_mb(arbiter) < before + 50
    assert [line["key"] for line in running.audit if line["result"] == "reads no answers"] == [slow.public]


def test_one_key_can_not_take_all_subscriptions(afar: StartAfar) -> None:
    running = afar()
    greedy, other = running.key("greedy", "observe"), running.key("other", "observe")
    with running.client(greedy) as first, running.client(greedy) as second, running.client(other) as quiet:
        replies = [peer.ask("events", follow=True, credit=1) for _ in range(20) for peer in (first, second)]
        assert [reply["status"] for reply in replies] == ["ok"] * 32 + ["error"] * 8
        assert "holds 32 subscriptions already" in replies[-1]["reason"]
        assert quiet.ask("events", follow=True, credit=1)["status"] == "ok"
        assert first.ask("events", subscription=replies[0]["subscription"], end=True)["status"] == "ok"
        assert first.ask("events", follow=True, credit=1)["status"] == "ok"


def test_no_expression_holds_up_the_arbiter(afar: StartAfar) -> None:
    running = afar()
    running.daemon.ctl("add", "a" * 60 + "-b", "sleep 1000")
    with running.client(running.key("looks", "observe")) as peer:
        for pattern in ("(a+)+$", "(a|a)*$", "(a*)*-c"):
            assert "not found" in peer.ask("list", name=[pattern], match="regex", seconds=5)["reason"]
            assert peer.ask("events", name=pattern, match="regex", seconds=5)["events"] == []
        assert "over 16 patterns" in peer.ask("status", name=["a.*"] * 20_000, match="regex")["reason"]


def test_who_goes_away_leaves_nothing_running(afar: StartAfar) -> None:
    running = afar(deaf=True)
    running.daemon.ctl("stop", "deaf", "--no-wait")
    pair = running.key("alice", "observe")
    arbiter = running.arbiter
    with running.client(pair) as peer:
        assert peer.ask("list")["status"] == "ok"
    fds = open_fds(arbiter)
    for _ in range(3):
        with running.client(pair) as peer:
            for _ in range(30):
                peer.send("wait", state="down", name="deaf")
            assert peer.ask("list")["status"] == "ok"  # so the waits before it have arrived
    with running.client(pair) as peer:  # 64 of one key may run at a time: 90 were asked for
        assert peer.ask("list")["status"] == "ok"
    until(lambda: [line["result"] for line in running.audit].count("nobody waited") == 90, why="90 waits to end")
    until(lambda: open_fds(arbiter) <= fds, why="descriptors to be closed")
    running.daemon.ctl("signal", "deaf", "KILL")
    assert running.arbiter == arbiter
