"""The control channel's commands: typed request in, what the arbiter does, reply out. Never waits on the loop."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Coroutine
from typing import Any

from circus_cg.arbiter.arbiter import Arbiter
from circus_cg.arbiter.report import status_of, worker_rows
from circus_cg.arbiter.runner import WatcherRunner
from circus_cg.errors import CircusCgError
from circus_cg.host import clock
from circus_cg.keeper.log import say as log
from circus_cg.keeper.messages import Key
from circus_cg.rpc import messages as rpc
from circus_cg.rpc.server import Reply, Server
from circus_cg.units import signal_number

Fields = dict[str, Any]
MAX_WORKERS = 100_000  # of one watcher: a slip of the finger must not fill the machine


def open_control(arbiter: Arbiter, endpoint: str) -> Server:
    server = Server(Control(arbiter).handle)
    server.bind(endpoint)
    return server


class Control:
    """Commands on different watchers never exclude each other; each runs to its end without waiting."""

    def __init__(self, arbiter: Arbiter) -> None:
        self._arbiter = arbiter
        self._tasks: set[asyncio.Task[None]] = set()
        self._commands: dict[str, Callable[[rpc.Request], Coroutine[Any, Any, Fields]]] = {
            "ps": self._ps,
            "status": self._status,
            "start": self._start,
            "stop": self._stop,
            "restart": self._restart,
            "incr": self._incr,
            "decr": self._decr,
            "signal": self._signal,
            "quit": self._quit,
            "wait": self._wait_for,
        }

    def handle(self, body: bytes, reply: Reply) -> None:
        task = asyncio.get_running_loop().create_task(self._answer(body, reply))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _answer(self, body: bytes, reply: Reply) -> None:
        request_id: str | None = None
        wants_reply = True
        try:
            request = rpc.decode_request(body)
            request_id, wants_reply = request.id, request.wants_reply
            command = self._commands.get(request.command.lower())
            if command is None:
                raise rpc.BadMessage(rpc.Errno.UNKNOWN_COMMAND, f"unknown command: {request.command!r}")
            answer = rpc.ok(request_id, clock.wall(), await command(request))
        except rpc.BadMessage as bad:
            answer = rpc.error(request_id, clock.wall(), str(bad), bad.errno)
        except CircusCgError as refused:
            answer = rpc.error(request_id, clock.wall(), str(refused), rpc.Errno.COMMAND_ERROR)
        except OSError as failed:
            answer = rpc.error(request_id, clock.wall(), str(failed), rpc.Errno.OS_ERROR)
        if wants_reply:
            reply(answer)

    # -- reports ---------------------------------------------------------------------------------

    async def _ps(self, request: rpc.Request) -> Fields:
        wanted = rpc.properties(request, rpc.Target)
        return {"workers": [row for runner in self._runners(wanted.name) for row in worker_rows(runner)]}

    async def _status(self, request: rpc.Request) -> Fields:
        wanted = rpc.properties(request, rpc.Target)
        if wanted.name is not None:
            return {"status": status_of(self._runner(wanted.name)), "name": wanted.name}
        return {"statuses": {name: status_of(runner) for name, runner in self._arbiter.runners.items()}}

    # -- commands --------------------------------------------------------------------------------

    async def _start(self, request: rpc.Request) -> Fields:
        target = rpc.properties(request, rpc.Target)
        runners = self._runners(target.name)
        self._refuse_while_stopping()
        for runner in runners:
            self._keep(self._arbiter.intents.want, runner.spec.name, True)
            runner.start()
        return await self._wait(target.waiting, runners, WatcherRunner.is_up)

    async def _stop(self, request: rpc.Request) -> Fields:
        target = rpc.properties(request, rpc.Target)
        runners = self._runners(target.name)
        for runner in runners:
            self._keep(self._arbiter.intents.want, runner.spec.name, False)
            runner.want(False, runner.numprocesses)
        return await self._wait(target.waiting, runners, _is_down_or_wanted)

    async def _restart(self, request: rpc.Request) -> Fields:
        target = rpc.properties(request, rpc.Target)
        runners = self._runners(target.name)
        self._refuse_while_stopping()
        for runner in runners:
            self._keep(self._arbiter.intents.want, runner.spec.name, True)
            runner.restart()
        return await self._wait(target.waiting, runners, WatcherRunner.is_up)

    async def _incr(self, request: rpc.Request) -> Fields:
        return await self._change(rpc.properties(request, rpc.Count), 1)

    async def _decr(self, request: rpc.Request) -> Fields:
        return await self._change(rpc.properties(request, rpc.Count), -1)

    async def _change(self, count: rpc.Count, sign: int) -> Fields:
        runner = self._runner(count.name)
        self._refuse_while_stopping()
        if count.nb < 0:
            raise rpc.BadMessage(rpc.Errno.BAD_MSG_DATA, f"cannot change {count.name!r} by {count.nb}: nb must be >= 0")
        wanted = max(0, runner.numprocesses + sign * count.nb)
        if wanted > MAX_WORKERS:
            raise rpc.BadMessage(rpc.Errno.BAD_MSG_DATA, f"cannot run {wanted} workers: at most {MAX_WORKERS}")
        self._keep(self._arbiter.intents.count, count.name, wanted)
        runner.want(runner.wanted, wanted)
        fields = await self._wait(count.waiting, [runner], WatcherRunner.is_up)
        return {"numprocesses": wanted, **fields}

    async def _signal(self, request: rpc.Request) -> Fields:
        """To every worker of a watcher, or to one by wid or pid."""
        asked = rpc.properties(request, rpc.Signal)
        runner = self._runner(asked.name)
        try:
            signum = signal_number(asked.signum)
        except ValueError as wrong:
            raise rpc.BadMessage(rpc.Errno.BAD_MSG_DATA, f"cannot signal {asked.name!r}: {wrong}") from wrong
        chosen = [
            slot
            for slot in runner.slots.values()
            if slot.alive and slot.pid is not None and asked.wid in (None, slot.wid) and asked.pid in (None, slot.pid)
        ]
        if not chosen:
            raise rpc.BadMessage(rpc.Errno.COMMAND_ERROR, f"cannot signal {asked.name!r}: no such worker is running")
        for slot in chosen:
            self._arbiter.signal(Key(asked.name, slot.wid, slot.generation), signum)
        return {
            "signalled": [slot.pid for slot in chosen],
            "signal": signal.Signals(signum).name if signum in set(signal.Signals) else signum,
        }

    async def _quit(self, request: rpc.Request) -> Fields:
        rpc.properties(request, rpc.Quit)
        if not self._arbiter.stopping:
            self._arbiter.terminate()
        return {}

    async def _wait_for(self, request: rpc.Request) -> Fields:
        """Answers when the watchers are up (nothing starting or stopping) or down; may be asked again at any time."""
        asked = rpc.properties(request, rpc.Wait)
        conditions = {"up": WatcherRunner.is_up, "down": _is_down_or_wanted}
        return await self._wait(True, self._runners(asked.name), conditions[asked.state])

    # -- shared ----------------------------------------------------------------------------------

    def _keep(self, say: Callable[[str, Any], None], name: str, what: object) -> None:
        """An operator in need is obeyed though the disk is full: then it holds until this arbiter dies."""
        try:
            say(name, what)
        except OSError as failed:
            log(
                "arbiter",
                f"cannot keep what was asked of {name} for the next arbiter: {failed}; free the state directory",
            )

    def _runner(self, name: str) -> WatcherRunner:
        runner = self._arbiter.runners.get(name)
        if runner is None:
            known = ", ".join(sorted(self._arbiter.runners)) or "none"
            raise rpc.BadMessage(rpc.Errno.COMMAND_ERROR, f"program {name} not found; watchers here: {known}")
        return runner

    def _runners(self, name: str | None) -> list[WatcherRunner]:
        return list(self._arbiter.runners.values()) if name is None else [self._runner(name)]

    def _refuse_while_stopping(self) -> None:
        if self._arbiter.stopping:
            raise rpc.BadMessage(rpc.Errno.COMMAND_ERROR, "cannot start anything: the daemon is stopping")

    async def _wait(
        self, waiting: bool, runners: list[WatcherRunner], condition: Callable[[WatcherRunner], bool]
    ) -> Fields:
        if waiting:
            for runner in runners:
                await runner.settled(lambda r=runner: condition(r))  # type: ignore[misc]
            return {"statuses": {runner.spec.name: status_of(runner) for runner in runners}}
        return {}


def _is_down_or_wanted(runner: WatcherRunner) -> bool:
    """Somebody who started it again has ended the wait for its end."""
    return runner.is_down() or runner.wanted
