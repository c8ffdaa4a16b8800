"""The parent of all: spawns, signals, reaps; decides nothing about policy. Single thread, standard library only.

Its law is docs/explanation/keeper.md. What it was given at start (the boot record, in a memfd) is all it believes.
"""

import json
import os
import select
import signal
import sys
import time
from math import inf

from circus_cg.keeper import groups, launch
from circus_cg.keeper.head import Head
from circus_cg.keeper.ledger import Ledger
from circus_cg.keeper.link import GIVE_UP_AFTER, ArbiterLink
from circus_cg.keeper.log import say
from circus_cg.keeper.messages import Key, Message, hello
from circus_cg.keeper.notify import Notifier
from circus_cg.keeper.spawning import Spawning
from circus_cg.keeper.stopping import LastResort, wait_or_kill
from circus_cg.keeper.wire import Closed

SWEEP_AFTER = 1.0  # seconds from a worker's end to the sweep for orphans that may have died along: one O(n) scan
SWEEP_AGAIN = 0.05  # seconds, when a spawn was in flight
HANDLED = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD)


class Keeper:
    def __init__(self, boot: Message) -> None:
        self._boot = boot
        self._ledger = Ledger()
        arbiter = boot["arbiter"]
        self._arbiter: ArbiterLink | Head = (
            Head() if arbiter is None else ArbiterLink(arbiter["argv"], arbiter["env"], boot["pass_fds"])
        )
        self._notify = Notifier({} if arbiter is None else os.environ, os.getpid(), time.monotonic())
        self._epoll = select.epoll()
        self._signals, wake = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
        for signum in HANDLED:
            signal.signal(signum, lambda *_: None)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, HANDLED)  # `run` held them back until somebody could hear them
        self._spawning = Spawning(self._ledger, launch.make_launcher(), self._settled)
        self._pidfds: dict[int, tuple[int, int]] = {}  # pidfd -> (pid, pidfd)
        self._requests = {
            "spawn": self._on_spawn, "signal": self._on_signal, "ack": self._on_ack, "note": self._on_note,
            "forget": self._on_forget, "ready": self._on_ready, "pong": self._on_pong, "quit": self._on_quit,
        }  # fmt: skip
        self._arbiter_note = ""
        self._arbiter_pidfd = -1
        self._writing = False
        self._sweep_at = inf
        self._stopping = False  # SIGTERM was seen
        self._last_resort: LastResort | None = None
        self._exit: int | None = None

    def run(self) -> int:
        self._epoll.register(self._signals, select.EPOLLIN)
        self._epoll.register(self._spawning.fileno(), select.EPOLLIN)
        if isinstance(self._arbiter, Head):
            self._meet_head(self._arbiter)
        else:
            self._start_arbiter()
        while self._exit is None:
            self._wait()
        self._leave()
        return self._exit

    def _wait(self) -> None:
        other = self._arbiter if self._last_resort is None else self._last_resort
        deadline = min(other.deadline, self._sweep_at, self._spawning.deadline, self._notify.deadline)
        timeout = -1.0 if deadline == inf else max(0.0, deadline - time.monotonic())
        events = self._epoll.poll(timeout, 64)
        if any(fd == self._signals for fd, _ in events):
            self._on_signals(os.read(self._signals, 4096), explained=any(fd in self._pidfds for fd, _ in events))
        for fd, event in events:
            self._dispatch(fd, event)
        self._on_deadlines()
        self._watch_writability()

    def _dispatch(self, fd: int, event: int) -> None:
        if fd in self._pidfds:
            self._reap(*self._pidfds[fd])
        elif fd == self._spawning.fileno():
            self._spawning.on_readable()
        elif fd == self._arbiter_pidfd:
            if isinstance(self._arbiter, Head):
                self._on_head_gone(self._arbiter)
            else:
                self._on_arbiter_death()
        elif self._arbiter.channel is not None and fd == self._arbiter.channel.fileno():
            self._on_channel(event)

    def _on_deadlines(self) -> None:
        now = time.monotonic()
        if self._last_resort is not None:
            self._last_resort.on_deadline(now)
            if self._last_resort.done:
                self._exit = self._last_resort.status
        else:
            self._arbiter.on_deadline(now, self._start_arbiter)
        self._notify.on_deadline(now, answering=self._last_resort is not None or self._arbiter.answering)
        self._spawning.on_deadline(now)
        if now >= self._sweep_at:
            self._sweep_at = inf if self._sweep() else now + SWEEP_AGAIN

    # -- the arbiter ---------------------------------------------------------------------------

    def _start_arbiter(self) -> None:
        assert isinstance(self._arbiter, ArbiterLink)
        self._writing = False
        try:
            self._arbiter.start(self._inventory(), time.monotonic())
            assert self._arbiter.channel is not None and self._arbiter.pid is not None
            self._arbiter_pidfd = os.pidfd_open(self._arbiter.pid)
        except OSError as cause:  # no descriptor, no memory, or its program is just being replaced
            log(f"cannot start an arbiter: {cause}; trying again")
            if self._arbiter.pid is not None:
                os.kill(self._arbiter.pid, signal.SIGKILL)
                os.waitpid(self._arbiter.pid, 0)
            self._after_arbiter()
            return
        self._epoll.register(self._arbiter.channel.fileno(), select.EPOLLIN)
        self._epoll.register(self._arbiter_pidfd, select.EPOLLIN)

    def _inventory(self) -> list[Message]:
        note, instance = self._arbiter_note, self._boot["instance"]
        return hello(self._ledger.inventory(), instance=instance, note=note, stopping=self._stopping)

    def _meet_head(self, caller: Head) -> None:
        """The library's caller holds the arbiter; there is one, and it was there before us."""
        assert caller.channel is not None
        self._epoll.register(caller.channel.fileno(), select.EPOLLIN)
        self._arbiter_pidfd = caller.pidfd
        self._epoll.register(caller.pidfd, select.EPOLLIN)
        for page in self._inventory():
            caller.send(page)

    def _on_head_gone(self, caller: Head) -> None:
        """However it died, and whoever inherited its descriptors: what it held ends now."""
        if self._arbiter_pidfd >= 0:
            self._epoll.unregister(self._arbiter_pidfd)
            self._arbiter_pidfd = -1
        if caller.channel is not None:
            self._epoll.unregister(caller.channel.fileno())
            caller.close()
        self._begin_last_resort(0)
        if self._last_resort is not None:
            self._last_resort.hurry()

    def _on_channel(self, event: int) -> None:
        channel = self._arbiter.channel
        assert channel is not None
        try:
            if event & select.EPOLLOUT:
                channel.flush()
            if event & (select.EPOLLIN | select.EPOLLHUP | select.EPOLLERR):
                for message in channel.receive():
                    self._arbiter.heard(time.monotonic())
                    self._on_request(message)
                if self._arbiter.answering:
                    self._notify.heard(time.monotonic())
        except Closed:
            # A live arbiter that closed its channel can't be talked to: same as dead. What it asked before counts.
            self._drain_channel()
            if isinstance(self._arbiter, Head):
                self._on_head_gone(self._arbiter)
                return
            self._epoll.unregister(channel.fileno())
            self._arbiter.close()
            if self._arbiter.pid is not None:
                os.kill(self._arbiter.pid, signal.SIGKILL)

    def _on_request(self, message: Message) -> None:
        """A bad request is refused in the log and harms nobody: the arbiter parses network bytes."""
        try:
            self._requests[message["op"]](message)
        except Exception as bad:  # whatever it is: the keeper must not die of what it was told
            log(f"cannot serve a request of the arbiter: {type(bad).__name__}: {bad}")

    def _on_arbiter_death(self) -> None:
        assert isinstance(self._arbiter, ArbiterLink) and self._arbiter.pid is not None
        _, status = os.waitpid(self._arbiter.pid, 0)
        self._epoll.unregister(self._arbiter_pidfd)
        os.close(self._arbiter_pidfd)
        self._arbiter_pidfd = -1
        if self._arbiter.channel is not None:
            self._drain_channel()
            if self._arbiter.channel is not None:
                self._epoll.unregister(self._arbiter.channel.fileno())
        died = f"arbiter died ({describe(status)}); {len(self._pidfds)} workers stay"
        log(died)
        self._notify.status(died, time.monotonic())
        self._after_arbiter()

    def _after_arbiter(self) -> None:
        assert isinstance(self._arbiter, ArbiterLink)
        self._arbiter.died(time.monotonic())
        hopeless = not self._arbiter.was_ready and self._arbiter.failures >= GIVE_UP_AFTER
        if self._stopping or hopeless:
            self._begin_last_resort(1 if hopeless else 0)

    def _drain_channel(self) -> None:
        """What it asked before it died still counts: a note or an acknowledgement may be among it."""
        channel = self._arbiter.channel
        assert channel is not None
        try:
            while messages := channel.receive():
                for message in messages:
                    self._on_request(message)
        except Closed:
            return

    def _watch_writability(self) -> None:
        channel = self._arbiter.channel
        if channel is not None and channel.wants_write != self._writing:
            self._writing = channel.wants_write
            self._epoll.modify(channel.fileno(), select.EPOLLIN | (select.EPOLLOUT if self._writing else 0))

    # -- requests ------------------------------------------------------------------------------

    def _on_spawn(self, message: Message) -> None:
        message["key"] = Key(*message["key"])
        signum, patience = message["stop"]
        message["stop"] = (int(signum), float(patience))  # used when nobody is left to check it
        if self._last_resort is not None:
            return  # we are leaving; nobody waits for an answer
        refusal = self._ledger.spawn(message)
        if refusal is not None:
            self._arbiter.send(refusal)
        elif "failed" in message:  # the arbiter could not prepare it; filed here, so that generations stay in step
            self._settled(self._ledger.failed(message["key"], message["failed"], time.monotonic()), None)
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
                self._arbiter_note = note
            else:
                watcher, wid = slot
                self._ledger.note((watcher, wid), note)

    def _on_forget(self, message: Message) -> None:
        watcher, wid = message["slot"]
        self._ledger.forget((watcher, wid))

    def _on_ready(self, message: Message) -> None:
        self._arbiter.ready()
        self._notify.ready(f"supervising {message.get('status', 'its watchers')}", time.monotonic())

    def _on_pong(self, message: Message) -> None:
        self._notify.reloaded(time.monotonic())

    def _on_quit(self, message: Message) -> None:
        self._begin_last_resort(int(message["code"]))  # with nothing left this ends at once
        assert self._last_resort is not None
        self._last_resort.hurry()  # whoever is left has been asked, and has been given its time

    # -- workers -------------------------------------------------------------------------------

    def _settled(self, messages: list[Message], started: int | None) -> None:
        """News from the launcher: a pid to watch, answers to pass on."""
        if started is not None:
            self._watch(started)
        for message in messages:
            self._arbiter.send(message)

    def _watch(self, pid: int) -> None:
        if self._last_resort is not None:
            self._last_resort.reset()
        try:
            pidfd = os.pidfd_open(pid)
        except OSError as cause:
            log(f"cannot open a pidfd for {pid}: {cause}; its end is found by a sweep instead")
            return
        self._pidfds[pidfd] = (pid, pidfd)
        self._epoll.register(pidfd, select.EPOLLIN)

    def _reap(self, pid: int, pidfd: int | None) -> None:
        result = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG)
        if result is None:
            return
        if pidfd is not None:
            self._epoll.unregister(pidfd)
            del self._pidfds[pidfd]
            os.close(pidfd)
        exited = result.si_code == os.CLD_EXITED
        code, signum = (result.si_status, None) if exited else (None, result.si_status)
        for message in self._ledger.exited(pid, code, signum, time.monotonic()):
            self._arbiter.send(message)
        if self._last_resort is not None:
            self._last_resort.reset()

    def _sweep(self) -> bool:
        """Reap adopted orphans. False: not now, a child whose pid we don't know yet may be among them."""
        if self._spawning.in_flight:
            return False
        while True:
            try:
                peek = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            except ChildProcessError:
                return True
            if peek is None:
                return True
            pidfd = next((entry for entry in self._pidfds.values() if entry[0] == peek.si_pid), None)
            if pidfd is not None:
                self._reap(*pidfd)
            elif self._ledger.knows(peek.si_pid):
                self._reap(peek.si_pid, None)
            elif peek.si_pid == self._arbiter.pid:
                self._on_arbiter_death()
            else:
                os.waitpid(peek.si_pid, os.WNOHANG)

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
                self._notify.reloading(time.monotonic())
                self._arbiter.send({"op": "hangup"})
                self._arbiter.ping(time.monotonic())  # its answer says that it has dealt with it

    def _terminate(self, signum: int) -> None:
        again = self._stopping and signum == signal.SIGINT
        self._stopping = True
        self._notify.stopping(f"stopping {len(self._pidfds)} workers", time.monotonic())
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

    def _begin_last_resort(self, status: int) -> None:
        if self._last_resort is None:
            self._notify.stopping(f"stopping {len(self._pidfds)} workers", time.monotonic())
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
        groups.leave(self._boot.get("places", []))


def describe(status: int) -> str:
    code = os.waitstatus_to_exitcode(status)
    return f"exit {code}" if code >= 0 else f"signal {-code}"


def log(text: str) -> None:
    say("keeper", text)


def main() -> None:
    boot_fd = int(sys.argv[1])
    boot = json.loads(os.pread(boot_fd, os.fstat(boot_fd).st_size, 0))
    os.close(boot_fd)
    for fd in (*boot["pass_fds"], *boot["keep_fds"]):
        os.set_inheritable(fd, False)  # it came through our exec; nothing else may hold it
    sys.exit(Keeper(boot).run())
