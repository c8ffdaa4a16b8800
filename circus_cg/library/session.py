"""One life of an arbiter inside a program: a keeper as our child, and a thread whose loop runs the arbiter.

The caller is the head: the keeper hears of its end by pidfd and by socket, and ends the workers with it. So nothing
here has to outlive a crash, and nothing of it lives on disk.
"""

from __future__ import annotations

import asyncio
import atexit
import concurrent.futures
import contextlib
import logging
import os
import resource
import threading
import uuid
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from circus_cg.arbiter.arbiter import Arbiter
from circus_cg.arbiter.commands import Commands, Fields
from circus_cg.arbiter.ground import Ground, claim, refuse_a_live_tree, survey
from circus_cg.arbiter.journal import Journal
from circus_cg.errors import CircusCgError, Lost
from circus_cg.keeper import log as lines
from circus_cg.keeper.boot import start_keeper
from circus_cg.keeper.client import KeeperClient
from circus_cg.keeper.wire import Closed, pair
from circus_cg.library.events import Listeners
from circus_cg.spec import ArbiterSpec

T = TypeVar("T")
Work = Callable[[Arbiter, Commands], Coroutine[Any, Any, T]]

log = logging.getLogger("circus_cg")
_thread = threading.local()  # has `serves` in the threads whose loops run arbiters


def refuse_in_a_callback() -> None:
    """What waits there for an arbiter would wait for ever."""
    if hasattr(_thread, "serves"):
        raise CircusCgError("cannot wait for workers in an event callback: hand this to another thread")


class Session:
    """Begun once, ended once. Every method may be called from any thread of the process that made it."""

    def __init__(self, spec: ArbiterSpec, listeners: Listeners) -> None:
        self._spec, self._listeners = spec, listeners
        self._owner = os.getpid()
        self._begun: concurrent.futures.Future[None] = concurrent.futures.Future()
        self._over: concurrent.futures.Future[None] = concurrent.futures.Future()
        self._pending: set[concurrent.futures.Future[Any]] = set()  # asked of the loop, not answered yet
        self._loop: asyncio.AbstractEventLoop | None = None
        self._arbiter: Arbiter | None = None
        self._commands: Commands | None = None
        self._thread = threading.Thread(target=self._run, name=f"circus-cg {spec.name}", daemon=True)

    @property
    def ours(self) -> bool:
        """False in a fork of the process that made it."""
        return os.getpid() == self._owner

    @property
    def alive(self) -> bool:
        return self.ours and not self._over.done()

    def begin(self) -> None:
        """Returns when the arbiter has asked for the first workers. Raises CircusCgError, OSError."""
        lines.redirect(_to_log)
        self._thread.start()
        try:
            self._begun.result()
        except BaseException:  # an interrupt among them: what was begun meanwhile is ended
            if concurrent.futures.wait([self._begun]) and self._begun.exception() is None:
                self.end()
            raise
        atexit.register(self._at_exit)

    def end(self) -> None:
        """Stop every worker, then the keeper; returns when nothing is left. May be called again."""
        if not self.ours:
            return
        with contextlib.suppress(Lost):
            self.submit(_quit).result()
        concurrent.futures.wait([self._over])
        self._thread.join()
        atexit.unregister(self._at_exit)

    def submit(self, work: Work[T]) -> concurrent.futures.Future[T]:
        """Run `work` in the arbiter's loop. Raises Lost when there is none any more."""
        if not self.ours:
            raise CircusCgError(f"cannot do this in a fork: the workers belong to process {self._owner}; do it there")
        refuse_in_a_callback()
        if self._loop is None or self._arbiter is None or self._commands is None or self._over.done():
            raise Lost(f"cannot reach the workers of {self._spec.name!r}: their keeper was killed, and they with it")
        running = work(self._arbiter, self._commands)
        done: concurrent.futures.Future[T] = concurrent.futures.Future()
        self._pending.add(done)
        done.add_done_callback(self._pending.discard)
        try:
            self._loop.call_soon_threadsafe(self._follow, running, done)
        except RuntimeError as closed:
            self._pending.discard(done)
            running.close()
            raise Lost(f"cannot reach the workers of {self._spec.name!r}: they were just ended") from closed
        return done

    def command(self, command: str, /, **properties: Any) -> concurrent.futures.Future[Fields]:
        """One of the control channel's commands, by name."""
        return self.submit(lambda _, commands: commands.run(command, properties))

    # -- in the thread ---------------------------------------------------------------------------

    def _follow(self, running: Coroutine[Any, Any, T], done: concurrent.futures.Future[T]) -> None:
        task = asyncio.get_running_loop().create_task(running)

        def settle(task: asyncio.Task[T]) -> None:
            if done.done():
                task.cancelled() or task.exception()  # nobody waits any more
            elif task.cancelled():
                done.cancel()
            elif (failed := task.exception()) is not None:
                done.set_exception(failed)
            else:
                done.set_result(task.result())

        task.add_done_callback(settle)

    def _run(self) -> None:
        _thread.serves = self._spec.name
        try:
            asyncio.run(self._serve())
        except BaseException as failed:  # told to whoever waits for the start; later, to the log
            if not self._begun.done():
                self._begun.set_exception(failed)
            else:
                log.error("the arbiter of %s failed; its workers were ended", self._spec.name, exc_info=failed)
        finally:
            self._listeners.end()
            self._over.set_result(None)
            for asked in list(self._pending):  # what was asked when the end came gets an answer too
                with contextlib.suppress(concurrent.futures.InvalidStateError):
                    asked.set_exception(Lost(f"the workers of {self._spec.name!r} were ended meanwhile"))

    async def _serve(self) -> None:
        ground = survey(self._spec)
        for warning in ground.warnings:
            log.warning("%s", warning)
        refuse_a_live_tree(ground.tree)
        keeper, pid = _open_keeper(ground)
        try:
            try:
                hello = keeper.hello()
            except Closed as gone:
                text = f"cannot start {self._spec.name!r}: its keeper ended at once; its lines on stderr say why"
                raise CircusCgError(text) from gone
            record = ground.record(resource.getrlimit(resource.RLIMIT_NOFILE), None)
            arbiter = Arbiter(record, keeper, hello, Journal(self._listeners.tell))
            self._loop = asyncio.get_running_loop()
            self._loop.set_exception_handler(arbiter.on_broken)
            self._arbiter, self._commands = arbiter, Commands(arbiter)
            try:
                arbiter.begin()
                self._begun.set_result(None)
                await arbiter.gone
            finally:
                arbiter.close()
            if not arbiter.stopping:
                log.error("the keeper of %s was killed", self._spec.name)
        finally:
            keeper.close()
            with contextlib.suppress(ChildProcessError):  # the caller waits for all its children, or ignores SIGCHLD
                os.waitpid(pid, 0)
            ground.tree.kill_stale()  # nothing, unless somebody killed the keeper

    def _at_exit(self) -> None:
        """A normal end of the interpreter stops the workers as `stop` does."""
        if self.alive:
            self.end()


def _open_keeper(ground: Ground) -> tuple[KeeperClient, int]:
    claim(ground, joining=False)
    ours, theirs = pair()
    try:
        boot = {"instance": uuid.uuid4().hex, "pass_fds": [], "keep_fds": [], "places": ground.tree.places()}
        pid = start_keeper(boot, theirs.fileno())
    except BaseException:
        ours.close()
        ground.tree.kill_stale()
        raise
    finally:
        theirs.close()
    return KeeperClient(ours.detach()), pid


async def _quit(arbiter: Arbiter, commands: Commands) -> None:
    await commands.run("quit", {})


def _to_log(who: str, text: str, level: str) -> None:
    log.log(logging.DEBUG if level == "debug" else logging.INFO, "%s: %s", who, text)  # events tell what is urgent
