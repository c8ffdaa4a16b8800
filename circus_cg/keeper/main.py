"""The parent of all: spawns, signals, reaps; decides nothing about policy. Single thread, standard library only.

Its law is docs/explanation/keeper.md. What it was given at start (the boot record, in a memfd) is all it believes.
"""

import json
import os
import select
import signal
import socket
import sys
import time
from contextlib import suppress
from math import inf

from circus_cg.keeper import groups, launch, succession
from circus_cg.keeper.door import Asker, Door
from circus_cg.keeper.head import Head
from circus_cg.keeper.hearing import Hearing
from circus_cg.keeper.ledger import Ledger
from circus_cg.keeper.liaison import Liaison
from circus_cg.keeper.link import GIVE_UP_AFTER, ArbiterLink
from circus_cg.keeper.log import log_as, say
from circus_cg.keeper.messages import VERSION, Message, hello
from circus_cg.keeper.notify import Notifier
from circus_cg.keeper.requests import Requests
from circus_cg.keeper.spawning import Spawning
from circus_cg.keeper.stopping import LastResort, unlink_files, wait_or_kill
from circus_cg.keeper.upgrade import Stage, Upgrade
from circus_cg.keeper.workers import Workers

SWEEP_AFTER = 1.0  # seconds from a worker's end to the sweep for orphans that may have died along: one O(n) scan
SWEEP_AGAIN = 0.05  # seconds, when a spawn was in flight
HANDLED = succession.HELD_BACK


class Keeper:
    def __init__(self, boot: Message, ledger: Ledger | None = None) -> None:
        self._boot = boot
        log_as(boot)
        self._ledger = ledger or Ledger()
        self._arbiter: ArbiterLink | Head = Head() if boot["arbiter"] is None else ArbiterLink(boot)
        told = {} if boot["arbiter"] is None else os.environ
        self._notify = Notifier(told, os.getpid(), time.monotonic())
        self._epoll = select.epoll()
        self._signals, wake = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
        for signum in HANDLED:
            signal.signal(signum, lambda *_: None)
        self._hearing = Hearing(self._arbiter.send)
        self._spawning = Spawning(self._ledger, launch.make_launcher(_launcher(boot)), self._hearing, self.settled)
        self._workers = Workers(self._epoll, self._ledger, self._ended)
        self._requests = Requests(self, self._ledger, self._spawning, self._arbiter, self._notify)
        self._liaison = Liaison(self._epoll, self._arbiter, self, self._requests.serve)
        self.note = ""  # the arbiter's own
        self._sweep_at = inf
        self._stopping = False  # SIGTERM was seen
        self._last_resort: LastResort | None = None
        self._exit: int | None = None
        self._door = Door(self._epoll, boot["control"]["fd"], self._on_asked) if "control" in boot else None
        self._upgrade: Upgrade | None = None
        self._halted: Message = {}  # by the image before: lives in flight
        self._overheard = b""  # signals that it had no time for

    def take_over(self, state: Message, failed: str | None) -> None:
        """From another image of this process; `failed`: why the one that was to follow this one could not begin."""
        assert isinstance(self._arbiter, ArbiterLink)
        self.note, self._stopping = state["note"], state["stopping"]
        self._arbiter.was_ready = state["ready"]
        self._notify.restore(state["notify"], time.monotonic())
        self._hearing.take_over(state.get("hearing", {"lines": []}))  # before wire version 3 there was none
        for pid in self._ledger.pids():
            self._workers.watch(pid)
        self._halted, self._overheard = state["spawning"], bytes(state["signals"])
        asker = None if state["asker"] is None else Asker(socket.socket(fileno=state["asker"]))
        self._upgrade = Upgrade(self, self._arbiter, asker)
        self._upgrade.resumed(state["previous"], state["boot"], failed, time.monotonic())

    def run(self) -> int:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, HANDLED)  # held back until somebody could hear them
        self._epoll.register(self._signals, select.EPOLLIN)
        self._epoll.register(self._spawning.fileno(), select.EPOLLIN)
        if self._halted:
            self._spawning.take_over(self._halted)
            self._sweep_at = time.monotonic()
        self._liaison.begin()
        self._on_signals(self._overheard, explained=False)
        while self._exit is None:
            self._wait()
        self._leave()
        signal.pthread_sigmask(
            signal.SIG_BLOCK, HANDLED
        )  # the interpreter's end would let one more kill us: all is done
        return self._exit

    def _wait(self) -> None:
        other = self._arbiter if self._last_resort is None else self._last_resort
        deadline = min(other.deadline, self._sweep_at, self._spawning.deadline, self._notify.deadline)
        if self._upgrade is not None:
            deadline = min(deadline, self._upgrade.deadline)
        timeout = -1.0 if deadline == inf else max(0.0, deadline - time.monotonic())
        events = self._epoll.poll(timeout, 64)
        if any(fd == self._signals for fd, _ in events):
            self._on_signals(os.read(self._signals, 4096), explained=any(fd in self._workers for fd, _ in events))
        for fd, event in events:
            self._dispatch(fd, event)
        if self._upgrade is not None and self._upgrade.stage is Stage.DUE:
            self._succeed(self._upgrade)
        self._on_deadlines()
        self._liaison.watch_writability()

    def _dispatch(self, fd: int, event: int) -> None:
        if fd in self._workers:
            self._workers.reap(fd)
        elif fd == self._spawning.fileno():
            self._spawning.on_readable()
        elif fd in self._liaison:
            self._liaison.on_event(fd, event)
        elif self._upgrade is not None and fd in self._upgrade:
            self._upgrade.on_errand_ended(time.monotonic())
        elif self._door is not None and fd in self._door:
            self._door.on_readable(fd)

    def _on_deadlines(self) -> None:
        now = time.monotonic()
        if self._last_resort is not None:
            self._last_resort.on_deadline(now)
            if self._last_resort.done:
                self._exit = self._last_resort.status
        else:
            if self._upgrade is not None:
                self._upgrade.on_deadline(now)
            self._arbiter.on_deadline(now, self._liaison.start)
        excused = self._last_resort is not None or self._upgrade is not None  # both have an end
        self._notify.on_deadline(now, answering=excused or self._arbiter.answering)
        self._spawning.on_deadline(now)
        if now >= self._sweep_at:
            self._sweep_at = inf if self._sweep() else now + SWEEP_AGAIN

    # -- the arbiter ---------------------------------------------------------------------------

    def inventory(self) -> list[Message]:
        note, instance = self.note, self._boot["instance"]
        pages = hello(self._ledger.inventory(), instance=instance, note=note, stopping=self._stopping)
        return pages + self._hearing.inventory()

    def answering(self) -> None:
        self._notify.heard(time.monotonic())

    def arbiter_gone(self, status: int | None) -> None:
        """It has died and was reaped; None: it could not even be started."""
        assert isinstance(self._arbiter, ArbiterLink)
        if status is not None:
            asked = self._upgrade is not None and self._upgrade.stage is Stage.LEAVING
            how = "left, as asked" if asked else f"died ({describe(status)})"
            died = f"arbiter {how}; {len(self._workers)} workers stay"
            log(died)
            self._notify.status(died, time.monotonic())
        self._arbiter.died(time.monotonic())
        if self._upgrade is not None:
            self._upgrade.on_arbiter_gone(time.monotonic())
        hopeless = not self._arbiter.was_ready and self._arbiter.failures >= GIVE_UP_AFTER
        if self._stopping or hopeless:
            self._begin_last_resort(1 if hopeless else 0)

    def head_gone(self) -> None:
        """What the library's caller held ends now."""
        self._begin_last_resort(0)
        if self._last_resort is not None:
            self._last_resort.hurry()

    def on_ready(self, serving: bool) -> None:
        if self._upgrade is not None:
            self._upgrade.on_ready(serving)

    # -- workers -------------------------------------------------------------------------------

    def settled(self, messages: list[Message], started: int | None) -> None:
        """News from the launcher: a pid to watch, answers to pass on."""
        if started is not None:
            self._workers.watch(started)
        self._ended(messages, reset=started is not None)

    def _ended(self, messages: list[Message], *, reset: bool = True) -> None:
        for message in messages:
            self._arbiter.send(message)
            if message["op"] == "exited":
                self._hearing.close(message["key"])
        if reset and self._last_resort is not None:
            self._last_resort.reset()

    def _sweep(self) -> bool:
        """False: not now, a child whose pid we don't know yet may be among those that ended."""
        if self._spawning.in_flight:
            return False
        self._workers.sweep(self._reap_other)
        return True

    def _reap_other(self, pid: int) -> None:
        if pid == self._arbiter.pid:
            self._liaison.on_death()
        elif self._upgrade is not None and pid == self._upgrade.child:
            self._upgrade.on_errand_ended(time.monotonic())
        else:
            os.waitpid(pid, os.WNOHANG)

    # -- upgrades --------------------------------------------------------------------------------

    def _on_asked(self, message: Message, asker: Asker) -> None:
        if message["op"] == "upgrade":
            self._begin_upgrade(message.get("python"), asker)
        else:
            text = f"cannot do {str(message['op'])[:40]!r}: this keeper can't; upgrade it"
            asker.answer({"refused": text, "exit": 1})

    def _begin_upgrade(self, python: object, asker: Asker | None) -> None:
        why = ""
        if not isinstance(self._arbiter, ArbiterLink):
            return  # a library's caller is its own arbiter
        if self._upgrade is not None:
            why = "cannot upgrade: an upgrade is under way; wait for its end"
        elif self._stopping or self._last_resort is not None:
            why = "cannot upgrade: the daemon is stopping"
        elif "source" not in self._boot:
            why = "cannot upgrade: the daemon's configuration is not in a file"
        if why:
            log(why)
            if asker is not None:
                asker.answer({"refused": why, "exit": 1})
            return
        self._notify.reloading(time.monotonic())
        self._upgrade = Upgrade(self, self._arbiter, asker)
        self._upgrade.begin(python, time.monotonic())

    def record(self) -> Message:
        return self._boot

    def state(self) -> Message:
        """As succession.py has it, but for what only the last moment knows."""
        return {
            "version": succession.STATE_VERSION,
            "wire": VERSION,
            "ledger": self._ledger.save(),
            "note": self.note,
            "stopping": self._stopping,
            "ready": self._arbiter.was_ready,
            "notify": self._notify.save(),
            "hearing": self._hearing.save(),
        }

    def go_by(self, boot: Message) -> None:
        """From the next arbiter on."""
        assert isinstance(self._arbiter, ArbiterLink)
        self._boot = boot
        self._arbiter.become(boot, time.monotonic())

    def watch(self, fd: int) -> None:
        self._epoll.register(fd, select.EPOLLIN)

    def unwatch(self, fd: int) -> None:
        self._epoll.unregister(fd)

    def upgraded(self, text: str) -> None:
        self._upgrade = None
        log(text)
        self._notify.status(text, time.monotonic())
        self._notify.reloaded(time.monotonic())

    def _succeed(self, upgrade: Upgrade) -> None:
        """Become the next image; returns only where it can't be run at all."""
        signal.pthread_sigmask(signal.SIG_BLOCK, HANDLED)
        overheard = b""
        with suppress(BlockingIOError):
            overheard = os.read(self._signals, 4096)
        halted = self._spawning.halt()
        asker = None if upgrade.asker is None else upgrade.asker.fd
        boots = {"boot": upgrade.new, "previous": upgrade.old}
        state = {**self.state(), **boots, "spawning": halted, "signals": list(overheard), "asker": asker}
        try:
            succession.execute(state, succession.kept_fds(state))
        except OSError as cause:
            upgrade.on_not_executed(cause, time.monotonic())
        signal.pthread_sigmask(signal.SIG_UNBLOCK, HANDLED)
        self._on_signals(overheard, explained=False)

    # -- signals and the end -------------------------------------------------------------------

    def _on_signals(self, numbers: bytes, *, explained: bool) -> None:
        for signum in set(numbers):
            if signum == signal.SIGCHLD:
                # A worker's end explains it, else an orphan's must: reaped before anything else is begun, since a
                # zombie looks alive to `kill -0` of a pid file.
                if explained or not self._sweep():
                    later = SWEEP_AFTER if explained else SWEEP_AGAIN
                    self._sweep_at = min(self._sweep_at, time.monotonic() + later)
            elif signum in (signal.SIGTERM, signal.SIGINT):
                self._terminate(signum)
            elif signum == signal.SIGHUP:
                self._begin_upgrade(None, None)

    def _terminate(self, signum: int) -> None:
        again = self._stopping and signum == signal.SIGINT
        self._stopping = True
        if self._upgrade is not None:
            self._upgrade.abandon("the daemon is stopping")
        self._notify.stopping(f"stopping {len(self._workers)} workers", time.monotonic())
        if self._last_resort is not None:
            if again:
                self._last_resort.hurry()
        elif self._arbiter.pid is None:
            self._begin_last_resort(0)
        elif again:
            self._begin_last_resort(0)  # the second Ctrl-C: the operator won't wait
            assert self._last_resort is not None
            self._last_resort.hurry()
        else:
            self._arbiter.send({"op": "terminate", "signal": signum})

    @property
    def leaving(self) -> bool:
        return self._last_resort is not None

    @property
    def watched(self) -> int:
        return len(self._workers)

    def quit(self, code: int) -> None:
        self._begin_last_resort(code)  # with nothing left this ends at once
        assert self._last_resort is not None
        self._last_resort.hurry()  # whoever is left has been asked, and has been given its time

    def _begin_last_resort(self, status: int) -> None:
        if self._last_resort is None:
            if self._upgrade is not None:
                self._upgrade.abandon("the daemon is stopping")
            self._notify.stopping(f"stopping {len(self._workers)} workers", time.monotonic())
            self._last_resort = LastResort(self._ledger, status, time.monotonic())
            self._last_resort.on_deadline(time.monotonic())
            if self._last_resort.done:
                self._exit = status

    def _leave(self) -> None:
        """Arbiter and launcher see the end of their channels and go; then the groups are free to be removed."""
        self._arbiter.close()
        for pid in (self._arbiter.pid, self._spawning.close()):
            if pid is not None:
                wait_or_kill(pid)
        self._hearing.close_all()
        groups.leave(self._boot.get("places", []))
        unlink_files(self._boot, os.getpid())


def describe(status: int) -> str:
    code = os.waitstatus_to_exitcode(status)
    return f"exit {code}" if code >= 0 else f"signal {-code}"


def log(text: str) -> None:
    say("keeper", text)


def _launcher(boot: Message) -> str | None:
    """As it was when this image was made, whatever is installed by now."""
    fd = boot.get("image", {}).get("launcher")
    return None if fd is None else f"/proc/self/fd/{fd}"


def resume(state_fd: int, failed: str | None = None) -> Keeper:
    """The keeper as another image left it; `failed`: this is that image again, and why the next one could not begin.

    Nothing that could not be undone is done before it returns: until then the way back is open.
    """
    state = succession.read(state_fd)
    boot = state["boot"] if failed is None else state["previous"]
    keeper = Keeper(boot, Ledger.load(state["ledger"]))
    keeper.take_over(state, failed)
    signal.alarm(0)
    succession.close_on_exec(succession.kept_fds(state))
    os.close(state_fd)
    return keeper


def rehearse(state_fd: int) -> None:
    print(succession.rehearsal(state_fd))


def main() -> None:
    boot_fd = int(sys.argv[1])
    boot = json.loads(os.pread(boot_fd, os.fstat(boot_fd).st_size, 0))
    os.close(boot_fd)
    succession.close_on_exec(succession.held_fds(boot))  # they came through our exec; nothing else may hold them
    sys.exit(Keeper(boot).run())
