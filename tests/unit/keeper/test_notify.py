"""What systemd hears, on a real datagram socket; the time is an argument."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from math import inf
from pathlib import Path

import pytest

from circus_cg.keeper.notify import EXTEND_EVERY, RETRY, Notifier

Hear = Callable[[], list[dict[str, str]]]
Make = Callable[..., Notifier]
US = os.getpid()
TEN_SECONDS = {"WATCHDOG_USEC": "10000000", "WATCHDOG_PID": str(US)}


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as bound:
        bound.bind(str(tmp_path / "notify"))
        yield bound


@pytest.fixture
def hear(manager: socket.socket) -> Hear:
    """Every datagram since the last call."""

    def heard() -> list[dict[str, str]]:
        found: list[dict[str, str]] = []
        while True:
            try:
                lines = manager.recv(4096).decode().splitlines()
            except BlockingIOError:
                return found
            found.append(dict(line.split("=", 1) for line in lines))

    return heard


@pytest.fixture
def notifier(tmp_path: Path) -> Iterator[Make]:
    """`notifier(WATCHDOG_USEC="10000000", now=5.0)`: speaks to the manager unless another socket is named."""
    with ExitStack() as made:

        def make(now: float = 0.0, **environ: str) -> Notifier:
            told = Notifier({"NOTIFY_SOCKET": str(tmp_path / "notify"), **environ}, US, now)
            made.callback(told.close)
            return told

        yield make


def test_the_service_is_ready_once_and_later_arbiters_change_its_status_only(notifier: Make, hear: Hear) -> None:
    told = notifier()
    assert hear() == []
    told.ready("supervising 2 watchers", 1.0)
    told.status("arbiter died", 2.0)
    told.ready("supervising 2 watchers", 3.0)
    assert hear() == [
        {"READY": "1", "STATUS": "supervising 2 watchers"},
        {"STATUS": "arbiter died"},
        {"STATUS": "supervising 2 watchers"},
    ]


def test_the_watchdog_is_answered_at_half_its_time_while_the_arbiter_answers(notifier: Make, hear: Hear) -> None:
    told = notifier(now=100.0, **TEN_SECONDS)
    assert told.deadline == 105.0
    told.on_deadline(104.9, answering=True)
    assert hear() == []
    told.on_deadline(105.0, answering=True)
    assert hear() == [{"WATCHDOG": "1"}]
    assert told.deadline == 110.0


def test_a_silent_arbiter_withholds_the_word_until_it_is_heard_and_nothing_spins_meanwhile(
    notifier: Make, hear: Hear
) -> None:
    told = notifier(**TEN_SECONDS)
    told.on_deadline(5.0, answering=False)
    assert (hear(), told.deadline) == ([], inf)
    told.on_deadline(9.0, answering=False)
    assert hear() == []
    told.heard(9.5)
    assert (hear(), told.deadline) == ([{"WATCHDOG": "1"}], 14.5)


def test_what_was_heard_in_time_is_no_word_to_the_watchdog(notifier: Make, hear: Hear) -> None:
    told = notifier(**TEN_SECONDS)
    told.heard(1.0)
    assert (hear(), told.deadline) == ([], 5.0)


@pytest.mark.parametrize("pid", [US + 1, 1])
def test_a_watchdog_for_another_process_is_not_answered(notifier: Make, hear: Hear, pid: int) -> None:
    told = notifier(WATCHDOG_USEC="10000000", WATCHDOG_PID=str(pid))
    assert told.deadline == inf
    told.on_deadline(1000.0, answering=True)
    assert hear() == []


@pytest.mark.parametrize("period", ["", "x", "-5", "0"])
def test_a_watchdog_without_a_period_is_none(notifier: Make, period: str) -> None:
    told = notifier(WATCHDOG_USEC=period)
    assert told.deadline == inf


def test_a_stop_extends_its_time_until_the_end(notifier: Make, hear: Hear) -> None:
    told = notifier()
    told.ready("up", 0.0)
    told.stopping("stopping 3 workers", 10.0)
    told.stopping("again", 11.0)
    told.ready("an arbiter of the stop", 12.0)
    assert hear()[1:] == [{"STOPPING": "1", "STATUS": "stopping 3 workers", "EXTEND_TIMEOUT_USEC": "20000000"}]
    for i in range(1, 4):
        now = 10.0 + i * EXTEND_EVERY
        assert told.deadline == now
        told.on_deadline(now, answering=False)
        assert hear() == [{"EXTEND_TIMEOUT_USEC": "20000000"}]


def test_a_reload_begins_with_its_time_and_ends_with_ready(notifier: Make, hear: Hear) -> None:
    told = notifier()
    told.reloading(1.0)  # not even started: nothing to reload
    told.ready("up", 2.0)
    told.reloaded(3.0)
    assert len(hear()) == 1
    told.reloading(4.5)
    told.reloaded(5.0)
    assert hear() == [{"RELOADING": "1", "MONOTONIC_USEC": "4500000"}, {"READY": "1"}]
    told.reloading(6.0)
    told.ready("the next arbiter", 7.0)  # it may not serve yet, and the one before may come back
    assert hear()[1:] == [{"STATUS": "the next arbiter"}]
    told.reloaded(8.0)
    assert hear() == [{"READY": "1"}]


def test_a_full_socket_blocks_nobody_and_loses_no_key(notifier: Make, hear: Hear) -> None:
    told = notifier()
    number = 0
    while told.deadline == inf:
        told.status(f"number {number}", 0.0)
        number += 1
        assert number < 100_000, "the socket never got full"
    told.ready("up", 0.05)
    told.status("the last word", 0.1)
    heard = hear()
    assert len(heard) == number - 1
    told.on_deadline(told.deadline, answering=True)
    assert hear() == [{"STATUS": "the last word", "READY": "1"}]
    assert told.deadline == inf


def test_a_manager_that_is_away_hears_it_when_it_is_back(tmp_path: Path, notifier: Make) -> None:
    path = str(tmp_path / "notify")
    told = notifier()
    told.ready("up", 1.0)
    assert told.deadline == 1.0 + RETRY
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as late:
        late.bind(path)
        told.on_deadline(1.0 + RETRY, answering=True)
        assert late.recv(4096) == b"READY=1\nSTATUS=up"


def test_the_abstract_name_space_is_spoken_to(notifier: Make) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as abstract:
        abstract.bind("")  # the kernel chooses
        name = abstract.getsockname().decode()
        notifier(NOTIFY_SOCKET=f"@{name[1:]}").ready("up", 0.0)
        assert abstract.recv(4096) == b"READY=1\nSTATUS=up"


@pytest.mark.parametrize("address", ["", "vsock:2:1234", "relative/path"])
def test_without_a_manager_nothing_is_ever_due(notifier: Make, address: str) -> None:
    told = notifier(NOTIFY_SOCKET=address, WATCHDOG_USEC="1000")
    told.ready("up", 1.0)
    told.on_deadline(2.0, answering=True)
    assert told.deadline == inf


def test_no_text_can_smuggle_in_another_word(notifier: Make, hear: Hear) -> None:
    notifier().status("fine\nMAINPID=1", 0.0)
    assert hear() == [{"STATUS": "fine MAINPID=1"}]
