"""The client of this host: it waits as long as an answer can come, and no longer."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import zmq

from circus_cg.errors import NotRunning, TimedOut
from circus_cg.rpc import client as client_module
from circus_cg.rpc.client import Client

DAY = 24 * 3600.0
Serve = Callable[[str], None]


def asked(path: Path, *serve: Serve, **given: Any) -> dict[str, Any]:
    """What a patient client is told by those who listen at `path`, one after the other."""
    thread = threading.Thread(target=lambda: [one(str(path)) for one in serve])
    thread.start()
    try:
        return Client(f"ipc://{path}", DAY, time.monotonic, **given).call("reload")
    finally:
        thread.join()


def router(path: str, *, answers: bool) -> None:
    """It takes one request, and ends; perhaps with an answer."""
    context: zmq.Context[Any] = zmq.Context()
    serving = context.socket(zmq.ROUTER)
    serving.bind(f"ipc://{path}")
    sender, body = serving.recv_multipart()
    if answers:
        serving.send_multipart([sender, json.dumps({"id": json.loads(body)["id"], "status": "ok"}).encode()])
    context.destroy(linger=1000)


def dying(path: str) -> None:
    router(path, answers=False)


def answering(path: str) -> None:
    router(path, answers=True)


def without_a_word(path: str) -> None:
    """As one that dies before it accepts whoever came."""
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(path)
        listening.listen()
        listening.accept()[0].close()
    Path(path).unlink()


def test_a_connection_that_ends_after_the_request_was_taken_is_the_answers_end(tmp_path: Path) -> None:
    with pytest.raises(TimedOut, match="cannot reload: the connection was lost before the answer came"):
        asked(tmp_path / "s", dying)


def test_the_last_words_of_one_that_ends_are_heard(tmp_path: Path) -> None:
    assert asked(tmp_path / "s", answering)["status"] == "ok"


def test_a_request_that_nobody_has_taken_is_the_next_ones(tmp_path: Path) -> None:
    assert asked(tmp_path / "s", without_a_word, answering)["status"] == "ok"


def test_where_nobody_listens_the_wait_ends_with_the_daemon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "LOOK", 0.01)
    looks = []

    def alive(doing: str) -> None:
        looks.append(doing)
        if len(looks) == 3:
            raise NotRunning(f"cannot {doing}: no daemon")

    with pytest.raises(NotRunning, match="cannot reload: no daemon"):
        asked(tmp_path / "s", alive=alive)


def test_a_patience_that_is_over_is_said(tmp_path: Path) -> None:
    impatient = Client(f"ipc://{tmp_path / 's'}", 0.01, time.monotonic)
    with pytest.raises(TimedOut, match=r"no answer in 0\.01 s; `--timeout` waits longer"):
        impatient.call("list")
