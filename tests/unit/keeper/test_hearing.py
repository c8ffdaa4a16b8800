"""What the keeper makes and holds for workers to speak through."""

from __future__ import annotations

import errno
import json
import os
import socket
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from circus_cg.keeper.hearing import Hearing
from circus_cg.keeper.messages import Key
from circus_cg.keeper.wire import Channel, pair

LIFE = Key("w", 1, 1)


class Keeper:
    def __init__(self) -> None:
        self.told: list[dict[str, Any]] = []
        self.hearing = Hearing(self.told.append)


@pytest.fixture
def keeper() -> Iterator[Keeper]:
    made = Keeper()
    yield made
    made.hearing.close_all()


def is_open(fd: int) -> bool:
    try:
        os.fstat(fd)
    except OSError:
        return False
    return True


def test_who_asks_for_nothing_gets_nothing(keeper: Keeper) -> None:
    assert keeper.hearing.open({"key": LIFE}) == {}
    assert (keeper.told, keeper.hearing.inventory(), keeper.hearing.save()["fds"]) == ([], [], [])


def test_a_socket_is_for_its_user_alone_and_tells_who_wrote(keeper: Keeper, tmp_path: Path) -> None:
    path = tmp_path / "s"
    path.write_text("what an earlier life left")
    assert keeper.hearing.open({"key": LIFE, "notify": str(path), "uid": os.geteuid(), "gid": os.getegid()}) == {}
    (told,) = keeper.told
    assert (told["op"], told["key"], told["socket"], told["pipe"], len(told["fds"])) == ("hears", LIFE, True, False, 1)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as worker:
        worker.sendto(b"READY=1", str(path))
    with socket.socket(fileno=os.dup(told["fds"][0])) as ours:
        data, ancillary, _, _ = ours.recvmsg(100, 100)
    assert data == b"READY=1"
    ((_, kind, credentials),) = ancillary
    assert kind == socket.SCM_CREDENTIALS
    assert int.from_bytes(credentials[:4], "little") == os.getpid()


def test_a_pipe_s_writing_end_is_the_worker_s_and_blocks(keeper: Keeper) -> None:
    ((number, writer),) = keeper.hearing.open({"key": LIFE, "notification_fd": 7}).items()
    assert (number, os.get_blocking(writer)) == (7, True)
    os.write(writer, b"\n")
    os.close(writer)
    (reader,) = keeper.told[0]["fds"]
    assert (os.get_blocking(reader), os.read(reader, 10)) == (False, b"\n")


def test_the_end_of_a_life_closes_all_and_removes_the_socket(keeper: Keeper, tmp_path: Path) -> None:
    path = tmp_path / "s"
    for writer in keeper.hearing.open({"key": LIFE, "notify": str(path), "notification_fd": 3}).values():
        os.close(writer)
    fds = keeper.told[0]["fds"]
    assert len(fds) == 2 and all(map(is_open, fds))
    keeper.hearing.close(LIFE)
    assert not any(map(is_open, fds)) and not path.exists()
    keeper.hearing.close(LIFE)
    assert keeper.hearing.inventory() == []


def test_asked_again_for_the_same_life_there_is_one_socket_still(keeper: Keeper, tmp_path: Path) -> None:
    request = {"key": LIFE, "notify": str(tmp_path / "s")}
    keeper.hearing.open(request)
    keeper.hearing.open(request)
    assert len(keeper.told) == 2
    assert len(keeper.hearing.save()["fds"]) == 1
    assert (tmp_path / "s").exists()


def test_the_next_image_holds_what_this_one_did(keeper: Keeper, tmp_path: Path) -> None:
    keeper.hearing.open({"key": LIFE, "notify": str(tmp_path / "s")})
    told: list[dict[str, Any]] = []
    following = Hearing(told.append)
    following.take_over(json.loads(json.dumps(keeper.hearing.save())))
    assert following.inventory() == keeper.told
    following.close(LIFE)
    assert not (tmp_path / "s").exists()
    keeper.hearing.take_over({"lines": []})


def test_a_path_that_no_socket_can_have_is_an_error_and_leaves_nothing(keeper: Keeper, tmp_path: Path) -> None:
    with pytest.raises(OSError, match="name too long"):
        keeper.hearing.open({"key": LIFE, "notify": f"{tmp_path}/{'x' * 108}", "notification_fd": 3})
    assert (keeper.told, keeper.hearing.save()["fds"]) == ([], [])


def test_descriptors_go_with_a_message_even_if_it_must_wait_and_are_the_sender_s_to_close() -> None:
    ours, theirs = pair()
    sender, receiver = Channel(ours), Channel(theirs, takes_fds=True)
    while not sender.wants_write:
        sender.send({"op": "x", "text": "y" * 60_000})
    reader, writer = os.pipe()
    sender.send({"op": "hears", "fds": [reader], "more": "z" * 70_000})  # too long for a packet: by memfd
    os.close(reader)
    found: list[dict[str, Any]] = []
    while not found or found[-1]["op"] != "hears":
        found += receiver.receive()
        sender.flush()
    os.write(writer, b"!")
    (fd,) = found[-1]["fds"]
    assert os.read(fd, 1) == b"!"
    for one in (fd, writer):
        os.close(one)
    sender.close()
    receiver.close()


def test_an_end_that_takes_no_descriptors_closes_what_comes() -> None:
    ours, theirs = pair()
    sender, receiver = Channel(ours), Channel(theirs)
    reader, writer = os.pipe()
    sender.send({"op": "hears", "fds": [writer]})
    os.close(writer)
    receiver.receive()
    assert os.read(reader, 1) == b"", "nobody holds the other end"
    os.close(reader)
    sender.close()
    receiver.close()


def held() -> list[str]:
    return sorted(os.listdir("/proc/self/fd"))


def no_more(monkeypatch: pytest.MonkeyPatch, name: str, after: int = 0) -> None:
    """That call of `os` finds no descriptor left, once it was made so often."""
    real, left = getattr(os, name), [after]

    def scarce(*args: Any) -> Any:
        left[0] -= 1
        if left[0] < 0:
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        return real(*args)

    monkeypatch.setattr(os, name, scarce)


@pytest.mark.parametrize("socket_too", [False, True])
@pytest.mark.parametrize("call", ["pipe2", "set_blocking", "dup"])
def test_where_descriptors_run_out_the_cause_is_told_and_nothing_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, *, socket_too: bool
) -> None:
    ours, theirs = pair()
    channel = Channel(ours)
    hearing = Hearing(channel.send)
    before = held()
    no_more(monkeypatch, call)
    path = {"notify": str(tmp_path / "s")} if socket_too else {}
    with pytest.raises(OSError, match="Too many open files"):
        hearing.open({"key": LIFE, "notification_fd": 3, **path})
    assert (held(), hearing.inventory(), list(tmp_path.iterdir())) == (before, [], [])
    theirs.close()
    channel.close()


@pytest.mark.parametrize("text", ["", "y" * 70_000])
def test_a_message_whose_descriptors_can_not_all_be_copied_is_none(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    ours, theirs = pair()
    sender, receiver = Channel(ours), Channel(theirs)
    before = held()
    with monkeypatch.context() as patched:
        no_more(patched, "dup", after=1)
        with pytest.raises(OSError, match="Too many open files"):
            sender.send({"op": "hears", "text": text, "fds": [0, 0]})
        no_more(patched, "memfd_create")
        with pytest.raises(OSError, match="Too many open files"):
            sender.send({"op": "hears", "text": "y" * 70_000, "fds": []})
    assert (held(), sender.backlog, receiver.receive()) == (before, 0, [])
    sender.close()
    receiver.close()
