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
import sys
import threading
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from circus_cg.arbiter.arbiter import Arbiter
from circus_cg.arbiter.commands import Commands, Fields
from circus_cg.arbiter.ground import Ground, claim, refuse_a_live_tree, survey
from circus_cg.arbiter.journal import Journal
from circus_cg.errors import CircusCgError, HostError, Lost, NotRunning
from circus_cg.keeper import log as lines
from circus_cg.keeper.boot import start_keeper
from circus_cg.keeper.client import KeeperClient
from circus_cg.keeper.head import BEGIN
from circus_cg.keeper.wire import Closed, pair
from circus_cg.library.events import Listeners
from circus_cg.spec import ArbiterSpec

T = TypeVar("T")
Work = Callable[[Arbiter], Coroutine[Any, Any, T]]

log = logging.getLogger("circus_cg")
_thread = threading.local()  # has `serves` in the threads whose loops run arbiters


def refuse_in_a_callback() -> None:
    """What waits there for an arbiter would wait for ever."""
    if hasattr(_thread, "serves"):
        raise CircusCgError("cannot wait for workers in an event callback: hand this to another thread")


class Session:
    """Begun once, ended once. Every method may be called from any thread of the process that made it, and by a signal's
    handler while it runs.
    """

    def __init__(self, spec: ArbiterSpec, listeners: Listeners) -> None:
        self._spec, self._listeners = spec, listeners
        self._owner = os.getpid()
        self._begun: concurrent.futures.Future[None] = concurrent.futures.Future()
        # Pending until the thread runs; whoever cancels it before has ended what then never begins.
        self._over: concurrent.futures.Future[None] = concurrent.futures.Future()
        self._ending = False  # by us
        self._pending: set[concurrent.futures.Future[Any]] = set()  # asked of the loop, not answered yet
        self._loop: asyncio.AbstractEventLoop | None = None
        self._arbiter: Arbiter | None = None  # while it can be asked
        self._thread = threading.Thread(target=self._run, name=f"circus-cg {spec.name}", daemon=True)

    @property
    def ours(self) -> bool:
        """False in a fork of the process that made it."""
        return os.getpid() == self._owner

    @property
    def alive(self) -> bool:
        return self.ours and not self._ending and self._over.running() and not self._lost

    @property
    def _lost(self) -> bool:
        """Its arbiter was begun and is no more, though what is left of it may still be cleared up."""
        return self._begun.done() and self._arbiter is None

    def begin(self) -> None:
        """Returns when the arbiter has asked for the first workers. Raises CircusCgError.

        Whatever it raises, an interrupt among them: `end` ends what was begun.
        """
        lines.redirect(_to_log)
        atexit.register(self.end)  # a normal end of the interpreter stops the workers
        self._thread.start()
        self._begun.result()

    def end(self) -> None:
        """Stop every worker, then the keeper; returns when nothing is left. May be called again, and at any time."""
        if not self.ours:
            return
        if not self._lost:  # else who waits for an answer is still to hear of the loss
            self._ending = True
        if self._over.cancel():
            atexit.unregister(self.end)
            return
        if self._loop is not None:  # else it is not so far, and looks at `_ending` itself
            with contextlib.suppress(RuntimeError):  # the loop is closed
                self._loop.call_soon_threadsafe(self._wind_down)
        concurrent.futures.wait([self._over])
        self._thread.join()
        self._ending = True

    def submit(self, work: Work[T]) -> concurrent.futures.Future[T]:
        """Run `work` in the arbiter's loop; cancelling the future cancels it.

        Raises NotRunning when the workers were stopped, Lost when they were ended by a death; so does the future.
        """
        if not self.ours:
            raise CircusCgError(f"cannot do this in a fork: the workers belong to process {self._owner}; do it there")
        refuse_in_a_callback()
        if self._loop is None:
            raise self._gone()
        done: concurrent.futures.Future[T] = concurrent.futures.Future()
        self._pending.add(done)
        done.add_done_callback(self._pending.discard)
        try:
            self._loop.call_soon_threadsafe(self._follow, work, done)
        except RuntimeError as closed:
            self._pending.discard(done)
            raise self._gone() from closed
        return done

    def command(self, command: str, /, **properties: Any) -> concurrent.futures.Future[Fields]:
        """One of the control channel's commands, by name."""
        return self.submit(lambda arbiter: Commands(arbiter).run(command, properties))

    def _gone(self) -> CircusCgError:
        if self._ending or not self._begun.done():
            return NotRunning(
                f"cannot reach the workers of {self._spec.name!r}: they were stopped; call start() for new ones"
            )
        return Lost(
            f"cannot reach the workers of {self._spec.name!r}: their keeper was killed, or their arbiter failed (the"
            " log says which), and they were ended with it; call start() for new ones"
        )

    # -- in the thread ---------------------------------------------------------------------------

    def _follow(self, work: Work[T], done: concurrent.futures.Future[T]) -> None:
        if done.done():
            return
        if self._arbiter is None:
            _fail(done, self._gone())
            return
        loop = asyncio.get_running_loop()
        task = loop.create_task(work(self._arbiter))

        def give_up(done: concurrent.futures.Future[T]) -> None:
            if done.cancelled():
                with contextlib.suppress(RuntimeError):  # the loop is closed, and with it the task
                    loop.call_soon_threadsafe(task.cancel)

        def settle(task: asyncio.Task[T]) -> None:
            failed = None if task.cancelled() else task.exception()
            refused = self._ending and isinstance(failed, CircusCgError)  # in the arbiter's words, for it is stopping
            if task.cancelled() or refused or isinstance(failed, Closed):
                if isinstance(failed, Closed):
                    self._arbiter = None  # the loop has yet to hear of it, and a `start` may come first
                _fail(done, self._gone())
            elif failed is not None:
                _fail(done, failed)
            else:
                with contextlib.suppress(concurrent.futures.InvalidStateError):  # given up at this very moment
                    done.set_result(task.result())

        done.add_done_callback(give_up)
        task.add_done_callback(settle)

    def _wind_down(self) -> None:
        if self._arbiter is not None and not self._arbiter.stopping:
            self._arbiter.terminate()

    def _run(self) -> None:
        if not self._over.set_running_or_notify_cancel():
            _fail(self._begun, self._gone())
            return
        _thread.serves = self._spec.name
        try:
            # A loop of the caller's policy may keep another time than the keeper does; its debug mode is for its own.
            with asyncio.Runner(debug=False, loop_factory=asyncio.SelectorEventLoop) as runner:
                runner.run(self._serve())
        except BaseException as failed:  # told to whoever waits for the start; later, to the log
            if not self._begun.done():
                self._begun.set_exception(_told(failed, self._spec.name))
            else:
                log.error("the arbiter of %s failed; its workers were ended", self._spec.name, exc_info=failed)
        finally:
            self._listeners.end()
            atexit.unregister(self.end)
            self._over.set_result(None)
            for asked in list(self._pending):  # what was asked when the end came gets an answer too
                _fail(asked, self._gone())

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
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
            self._loop.set_exception_handler(arbiter.on_broken)
            try:
                arbiter.begin()
                self._arbiter = arbiter
                if self._ending:
                    self._wind_down()
                self._begun.set_result(None)
                with contextlib.suppress(Closed):  # in the midst of a request
                    await arbiter.gone
            finally:
                self._arbiter = None
                arbiter.close()
            if not arbiter.stopping:
                log.error("the keeper of %s was killed", self._spec.name)
        finally:
            keeper.close()
            with contextlib.suppress(ChildProcessError):  # the caller waits for all its children, or ignores SIGCHLD
                os.waitpid(pid, 0)
            ground.tree.kill_stale()  # nothing, unless somebody killed the keeper


def _open_keeper(ground: Ground) -> tuple[KeeperClient, int]:
    if not sys.executable:
        raise HostError("cannot start a keeper: a program that embeds Python must say in sys.executable where one is")
    ours, theirs = pair()
    boot = {"instance": os.urandom(16).hex(), "pass_fds": [], "keep_fds": [], "places": ground.tree.places()}
    try:
        pid = start_keeper(boot, theirs.fileno())
    except BaseException:
        ours.close()
        raise
    finally:
        theirs.close()
    try:
        claim(ground, joining=False)  # only now that somebody is there who removes it, however we end
        with contextlib.suppress(OSError):  # the keeper is gone: whoever waits for its first word hears of it
            ours.send(BEGIN)
    except BaseException:
        ours.close()
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, 0)
        ground.tree.kill_stale()
        raise
    return KeeperClient(ours.detach()), pid


def _told(failed: BaseException, name: str) -> BaseException:
    if not isinstance(failed, OSError):
        return failed
    told = HostError(f"cannot start {name!r}: {failed}")
    told.__cause__ = failed
    return told


def _fail(future: concurrent.futures.Future[Any], error: BaseException) -> None:
    with contextlib.suppress(concurrent.futures.InvalidStateError):  # it has its answer, or nobody waits any more
        future.set_exception(error)


def _to_log(who: str, text: str, level: str) -> None:
    log.log(logging.DEBUG if level == "debug" else logging.INFO, "%s: %s", who, text)  # events tell what is urgent
