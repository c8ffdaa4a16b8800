"""A client's side of `events`: one subscription that is kept, and made again where it was lost."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import zmq

from circus_cg.errors import CommandRefused, TimedOut

CREDIT = 1000  # events that may be on their way; half of it used, more is granted
KEEP_ALIVE = 2.0  # seconds between two grants; each is also the question whether the subscription still is
SILENCE = 10.0  # seconds that the first question may be without an answer

Dial = Callable[["zmq.Context[Any]"], "zmq.Socket[bytes]"]
Message = dict[str, Any]


class Subscriber:
    def __init__(
        self, dial: Dial, now: Callable[[], float], alive: Callable[[], None], interrupt: int | None = None
    ) -> None:
        """`now`: monotonic seconds. `alive` raises when there is no daemon to wait for. `interrupt`: a descriptor that
        ends it when it is readable.
        """
        self._dial, self._now, self._alive, self._interrupt = dial, now, alive, interrupt
        self._asked: Message = {}
        self._question: str | None = None  # id of the request for a subscription that is not answered
        self._subscription: str | None = None
        self._grants: dict[str, str] = {}  # request -> subscription
        self._seq: int | None = None
        self._used = 0

    def follow(self, *, since: int | None = None, **asked: Any) -> Iterator[Message]:
        """{"events", "lost", "seq"} and {"stats", "time", "left_out"}, across deaths of the arbiter too: then `lost` is
        None where it can't be known what was missed.

        Raises CommandRefused, TimedOut (no answer to the first question), and what `alive` does.
        """
        self._seq, self._asked = since, asked
        context: zmq.Context[Any] = zmq.Context()
        try:
            socket = self._dial(context)
            poller = zmq.Poller()
            poller.register(socket, zmq.POLLIN)
            if self._interrupt is not None:
                poller.register(self._interrupt, zmq.POLLIN)
            yield from self._run(socket, poller)
            if self._subscription is not None:
                self._send(socket, {"subscription": self._subscription, "end": True})
        finally:
            context.destroy(linger=100)  # ms: the end of the subscription still goes out

    def _run(self, socket: zmq.Socket[bytes], poller: zmq.Poller) -> Iterator[Message]:
        begun = self._now()
        self._ask(socket)
        due = begun + KEEP_ALIVE
        while True:
            ready = dict(poller.poll(max(0, int((due - self._now()) * 1000))))
            if self._interrupt in ready:
                return
            if socket in ready and (pushed := self._on_message(socket, json.loads(socket.recv()))) is not None:
                yield pushed
            if self._subscription is not None and self._used >= CREDIT // 2:
                self._grant(socket)
            if self._now() < due:
                continue
            due = self._now() + KEEP_ALIVE
            self._alive()
            if self._subscription is not None:
                self._grant(socket)
            elif self._seq is None and self._now() - begun > SILENCE:
                raise TimedOut(f"cannot follow events: no answer in {SILENCE:g} s; `--timeout` does not change this")
            else:
                self._ask(socket)  # the last one went down with an arbiter

    def _on_message(self, socket: zmq.Socket[bytes], message: Message) -> Message | None:
        """What is to be given out."""
        if "status" not in message:
            return self._on_push(message) if message.get("subscription") == self._subscription else None
        request, refused = message.get("id"), message["status"] == "error"
        if request == self._question:
            if refused:
                raise CommandRefused(str(message.get("reason", "refused without a reason")))
            self._question, self._subscription = None, message["subscription"]
            if self._seq is None:  # nothing is missed should the arbiter die before the first event
                self._seq = message["next"] - 1
        elif "subscription" in message:  # the answer to a question that was put again
            self._send(socket, {"subscription": message["subscription"], "end": True})
        elif (granted := self._grants.pop(str(request), None)) == self._subscription and granted is not None:
            if refused:  # another arbiter answers: it knows nothing of us
                self._subscription = None
                self._ask(socket)
            else:
                self._seq = message["seq"]
        return None

    def _on_push(self, message: Message) -> Message:
        if "events" in message:
            self._used += max(1, len(message["events"]))
            self._seq = message["seq"]
        else:
            self._used += 1 + sum(len(found["workers"]) for found in message["stats"].values())
        return {key: value for key, value in message.items() if key != "subscription"}

    def _ask(self, socket: zmq.Socket[bytes]) -> None:
        self._used, self._grants = 0, {}
        properties = {**self._asked, "follow": True, "credit": CREDIT, "since": self._seq}
        self._question = self._send(socket, properties)

    def _grant(self, socket: zmq.Socket[bytes]) -> None:
        used, self._used = self._used, 0
        assert self._subscription is not None
        request = self._send(socket, {"subscription": self._subscription, "credit": used})
        self._grants[request] = self._subscription

    def _send(self, socket: zmq.Socket[bytes], properties: Message) -> str:
        request = os.urandom(8).hex()
        body = {"id": request, "command": "events", "properties": properties}
        socket.send(json.dumps(body).encode())
        return request


def heard(endpoint: str, topics: Iterable[str], interrupt: int) -> Iterator[tuple[str, str]]:
    """(topic, body) from a PUB endpoint, until the descriptor `interrupt` is readable."""
    context: zmq.Context[Any] = zmq.Context()
    try:
        socket = context.socket(zmq.SUB)
        for topic in topics:
            socket.setsockopt(zmq.SUBSCRIBE, topic.encode())
        socket.connect(endpoint)
        poller = zmq.Poller()
        poller.register(socket, zmq.POLLIN)
        poller.register(interrupt, zmq.POLLIN)
        while interrupt not in (ready := dict(poller.poll())):
            if socket in ready:
                topic, body = socket.recv_multipart()
                yield topic.decode(), body.decode()
    finally:
        context.destroy(linger=0)
