"""What is read in a datagram to a notify socket."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from circus_cg.core.notification import MAX_SECONDS, MAX_STATUS, NOTHING, Word, parse


@pytest.mark.parametrize(
    ("datagram", "word"),
    [
        (b"READY=1", Word(ready=True)),
        (b"READY=1\n", Word(ready=True)),
        (b"READY=1\nSTATUS=up and running\nMAINPID=42", Word(ready=True, status="up and running", main_pid=42)),
        (b"RELOADING=1\nMONOTONIC_USEC=77", Word(reloading=True)),
        (b"STOPPING=1", Word(stopping=True)),
        (b"WATCHDOG=1", Word(alive=True)),
        (b"WATCHDOG=trigger", Word(trigger=True)),
        (b"WATCHDOG_USEC=2500000", Word(watchdog=2.5)),
        (b"WATCHDOG_USEC=0", Word(watchdog=0.0)),
        (b"EXTEND_TIMEOUT_USEC=1000000", Word(extend=1.0)),
        (b"ERRNO=13", Word(error="errno 13 (EACCES)")),
        (b"STATUS=", Word(status="")),
        (b"STATUS=a=b", Word(status="a=b")),
        (b"STATUS=one\nSTATUS=two", Word(status="two")),
        (b"X_BUSY=0.7\nX_BACKLOG=12", Word(busy=0.7, backlog=12)),
        (b"X_BUSY=1.5", Word(busy=1.0)),
        (b"X_BUSY=.5", Word(busy=0.5)),
        (b"BARRIER=1", NOTHING),
        (b"FDSTORE=1\nFDNAME=x\nX_OURS=1", NOTHING),
    ],
)
def test_what_is_said_is_understood(datagram: bytes, word: Word) -> None:
    assert parse(datagram) == word


@pytest.mark.parametrize(
    "datagram",
    [
        b"", b"\n\n", b"READY", b"READY=yes", b"READY=0", b"ready=1", b" READY=1", b"MAINPID=-1", b"MAINPID=0",
        b"MAINPID=99999999", b"MAINPID=one", "MAINPID=\u0663".encode(), b"WATCHDOG=0", b"WATCHDOG_USEC=1e6",
        b"WATCHDOG_USEC=-1", b"WATCHDOG_USEC=99999999999999999999999", b"EXTEND_TIMEOUT_USEC=", b"ERRNO=0",
        b"X_BUSY=nan", b"X_BUSY=-1", b"X_BUSY=1e3", b"X_BUSY=", b"X_BACKLOG=-1", b"X_BACKLOG=1.5",
        b"X_BACKLOG=99999999999999999999999",
    ],
)  # fmt: skip
def test_what_makes_no_sense_says_nothing(datagram: bytes) -> None:
    assert parse(datagram) == NOTHING


def test_a_status_is_one_bounded_line_that_no_terminal_obeys() -> None:
    word = parse(b"STATUS=\x1b[2Jred\x07 \xff\xfe and " + b"x" * 1000)
    assert word.status is not None
    assert word.status.startswith("[2Jred")
    assert word.status.isprintable()
    assert len(word.status) <= MAX_STATUS


@given(st.binary(max_size=200))
def test_whatever_comes_is_read_without_a_fault(datagram: bytes) -> None:
    word = parse(datagram)
    assert word.main_pid is None or word.main_pid > 0
    assert word.extend is None or 0 <= word.extend <= MAX_SECONDS


@pytest.mark.parametrize(
    ("said", "word"),
    [
        ("MAINPID=1", Word(main_pid=1)),
        (f"MAINPID={1 << 22}", Word(main_pid=1 << 22)),
        (f"MAINPID={(1 << 22) + 1}", NOTHING),
        ("MAINPID=0", NOTHING),
        (f"WATCHDOG_USEC={2**64}", Word(watchdog=1e9)),  # for ever
        (f"WATCHDOG_USEC={2**64 + 1}", NOTHING),
        ("WATCHDOG_USEC=" + "1".zfill(20), Word(watchdog=1e-6)),
        ("WATCHDOG_USEC=" + "1".zfill(21), NOTHING),
        ("X_BACKLOG=0", Word(backlog=0)),
        (f"X_BACKLOG={2**31}", Word(backlog=2**31)),
        (f"X_BACKLOG={2**31 + 1}", NOTHING),
        ("ERRNO=1", Word(error="errno 1 (EPERM)")),
        ("ERRNO=4095", Word(error="errno 4095 (unknown)")),
        ("ERRNO=0", NOTHING),
        ("ERRNO=4096", NOTHING),
    ],
)
def test_a_number_out_of_its_range_is_not_said(said: str, word: Word) -> None:
    assert parse(said.encode()) == word
