"""The arbiter's requests, carried out. (messages.py lists them, docs/explanation/keeper.md is their law.)"""

import os
import time
from collections import Counter
from collections.abc import Callable
from typing import Protocol

from circus_cg.keeper.head import Head
from circus_cg.keeper.ledger import Ledger
from circus_cg.keeper.link import ArbiterLink
from circus_cg.keeper.log import say
from circus_cg.keeper.messages import Key, Message
from circus_cg.keeper.notify import Notifier
from circus_cg.keeper.spawning import Spawning


class Keeping(Protocol):
    """What of the keeper's own state a request may touch."""

    note: str  # the arbiter's own

    @property
    def leaving(self) -> bool: ...
    @property
    def watched(self) -> int: ...
    def settled(self, messages: list[Message], started: int | None) -> None: ...
    def quit(self, code: int) -> None: ...
    def on_ready(self, serving: bool) -> None: ...


class Requests:
    def __init__(
        self, keeper: Keeping, ledger: Ledger, spawning: Spawning, arbiter: ArbiterLink | Head, notify: Notifier
    ) -> None:
        self._keeper, self._ledger, self._spawning = keeper, ledger, spawning
        self._arbiter, self._notify = arbiter, notify
        self._handlers: dict[str, Callable[[Message], None]] = {
            "spawn": self._on_spawn, "signal": self._on_signal, "ack": self._on_ack, "note": self._on_note,
            "forget": self._on_forget, "ready": self._on_ready, "pong": self._on_pong, "quit": self._on_quit,
        }  # fmt: skip
        self.kinds = frozenset(self._handlers)

    def serve(self, message: Message) -> None:
        """A bad request is refused in the log and harms nobody: the arbiter parses network bytes."""
        try:
            self._handlers[message["op"]](message)
        except Exception as bad:  # whatever it is: the keeper must not die of what it was told
            say("keeper", f"cannot serve a request of the arbiter: {type(bad).__name__}: {bad}")

    def _on_spawn(self, message: Message) -> None:
        message["key"] = Key(*message["key"])
        signum, patience = message["stop"]
        message["stop"] = (int(signum), float(patience))  # used when nobody is left to check it
        if self._keeper.leaving:
            return  # nobody waits for an answer
        refusal = self._ledger.spawn(message)
        if refusal is not None:
            self._arbiter.send(refusal)
        elif "failed" in message:  # the arbiter could not prepare it; filed here, so that generations stay in step
            self._keeper.settled(self._ledger.failed(message["key"], message["failed"], time.monotonic()), None)
        else:
            self._spawning.begin(message)

    def _on_signal(self, message: Message) -> None:
        pid = self._ledger.pid_of(Key(*message["key"]))
        if pid is not None:
            os.kill(pid, int(message["signum"]))  # our child, not reaped yet: the pid can't have been reused

    def _on_ack(self, message: Message) -> None:
        self._ledger.ack(Key(*message["key"]), message.get("note"))

    def _on_note(self, message: Message) -> None:
        for slot, note in message["notes"]:
            if slot is None:
                self._keeper.note = note
            else:
                watcher, wid = slot
                self._ledger.note((watcher, wid), note)

    def _on_forget(self, message: Message) -> None:
        watcher, wid = message["slot"]
        self._ledger.forget((watcher, wid))

    def _on_ready(self, message: Message) -> None:
        self._arbiter.ready()
        self._notify.ready(f"supervising {message.get('status', 'its watchers')}", time.monotonic())
        self._keeper.on_ready(bool(message.get("serving")))

    def _on_pong(self, message: Message) -> None:
        """That it said something was noticed. `counts` is for who looks for a fault (`ctl debug`): nothing is decided
        by it.
        """
        if not message.get("counts"):
            return
        slots = Counter(held.state.value for held in self._ledger.all())
        counts = {"slots": slots, "watched": self._keeper.watched, "in_flight": self._spawning.in_flight}
        backlog = 0 if self._arbiter.channel is None else self._arbiter.channel.backlog
        failures = self._arbiter.failures
        self._arbiter.send({"op": "counts", "pid": os.getpid(), **counts, "to_arbiter": backlog, "failures": failures})

    def _on_quit(self, message: Message) -> None:
        self._keeper.quit(int(message["code"]))
