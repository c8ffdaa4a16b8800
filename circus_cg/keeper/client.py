"""The arbiter's side of the keeper's channel: typed requests out, messages in."""

import select
import socket
from collections.abc import Callable

from circus_cg.keeper.messages import Key, Message
from circus_cg.keeper.wire import Channel

HELLO_TIMEOUT = 30.0  # seconds; the pages were queued before we were started


class KeeperClient:
    def __init__(self, fd: int) -> None:
        self._channel = Channel(socket.socket(fileno=fd), takes_fds=True)
        self.version = 1  # of the keeper's messages, as its hello says

    def fileno(self) -> int:
        return self._channel.fileno()

    def on_backlog(self, callback: Callable[[], None]) -> None:
        """`callback` is called when a request has to wait for the channel to be writable."""
        self._channel.on_backlog = callback

    @property
    def wants_write(self) -> bool:
        return self._channel.wants_write

    @property
    def backlog(self) -> int:
        """Requests that wait for the channel."""
        return self._channel.backlog

    def flush(self) -> None:
        self._channel.flush()

    def receive(self) -> list[Message]:
        """What is there now; raises wire.Closed when the keeper is gone."""
        return self._channel.receive()

    def hello(self) -> Message:
        """Wait for the whole inventory: {"instance", "stopping", "note", "slots": [...], "news": [...]}.

        `news` are messages that followed the inventory. Raises TimeoutError, wire.Closed.
        """
        slots: list[Message] = []
        waiting = select.poll()  # select() knows no descriptor above 1023, and a caller may hold that many
        waiting.register(self._channel, select.POLLIN)
        while True:
            if not waiting.poll(HELLO_TIMEOUT * 1000):
                raise TimeoutError("the keeper sent no inventory")
            messages = self._channel.receive()
            for position, message in enumerate(messages):
                slots += message["slots"]
                if message["last"]:
                    self.version = message["version"]
                    return {**message, "slots": slots, "news": messages[position + 1 :]}

    def spawn(self, key: Key, request: Message, note: str) -> None:
        """One life: answered by spawned, exited or refused. Acknowledges the previous life's exit."""
        self._channel.send({**request, "op": "spawn", "key": key, "note": note})

    def signal(self, key: Key, signum: int) -> None:
        self._channel.send({"op": "signal", "key": key, "signum": signum})

    def ack(self, key: Key, note: str) -> None:
        self._channel.send({"op": "ack", "key": key, "note": note})

    def note(self, notes: list[tuple[tuple[str, int] | None, str]]) -> None:
        """(slot, note) each; None is the arbiter's own."""
        self._channel.send({"op": "note", "notes": notes})

    def forget(self, slot: tuple[str, int]) -> None:
        self._channel.send({"op": "forget", "slot": slot})

    def ready(self, status: str, *, serving: bool = False) -> None:
        """`serving`: commands are heard too."""
        self._channel.send({"op": "ready", "status": status, "serving": serving})

    def ask_counts(self) -> None:
        """Answered by counts; a keeper of an earlier version hears a pong."""
        self._channel.send({"op": "pong", "counts": True})

    def pong(self) -> None:
        self._channel.send({"op": "pong"})

    def quit(self, code: int) -> None:
        self._channel.send({"op": "quit", "code": code})

    def close(self) -> None:
        """The keeper sees the end even while a fork of this process holds the channel too."""
        self._channel.shut()
        self._channel.close()
