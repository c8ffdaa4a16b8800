"""A health check's question, put once to one worker: run a command, connect, get a URL."""

from __future__ import annotations

import asyncio
import ssl
from typing import TYPE_CHECKING

from circus_cg.arbiter.execs import Ended, Execs
from circus_cg.config.substitution import WID, substitute
from circus_cg.config.validate_health import address
from circus_cg.core.line import one_line
from circus_cg.errors import CircusCgError
from circus_cg.spec import HealthCheck

if TYPE_CHECKING:  # a runner asks
    from circus_cg.arbiter.runner import WatcherRunner

SHOWN = 200  # characters of what a command said


class Probes:
    def __init__(self, execs: Execs) -> None:
        self._execs = execs

    async def ask(self, runner: WatcherRunner, wid: int, check: HealthCheck) -> str | None:
        """None: the answer was good; else what was wrong with it."""
        values = {WID: str(wid)}
        try:
            if check.exec:
                argv = [substitute(word, values) for word in check.exec]
                return _of_command(await self._execs.check(runner, wid, argv, check.timeout), check.timeout)
            async with asyncio.timeout(check.timeout):
                if check.http is not None:
                    return await _get(substitute(check.http, values), check)
                return await _connect(substitute(check.tcp or "", values))
        except TimeoutError:
            return _late(check.timeout)
        except (OSError, CircusCgError) as failed:
            return str(failed)


async def _connect(target: str) -> str | None:
    place = address(target)
    if place is None:
        return f"{target!r} can't be connected to"
    _, writer = await asyncio.open_connection(*place)
    writer.transport.abort()  # at once: a worker that is being checked should not have to say goodbye
    return None


async def _get(url: str, check: HealthCheck) -> str | None:
    """A connection of its own each time, no proxy, and a redirection is an answer."""
    import aiohttp  # 200 ms, only for who has such a check  # noqa: PLC0415

    context: ssl.SSLContext | bool = check.verify
    timeout = aiohttp.ClientTimeout(total=check.timeout)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout, headers={"User-Agent": "circus-cg"}) as session,
            session.get(url, allow_redirects=False, ssl=context) as answer,
        ):
            return None if 200 <= answer.status < 400 else f"status {answer.status}"
    except aiohttp.ClientError as failed:
        return str(failed) or type(failed).__name__


def _of_command(ended: Ended, timeout: float) -> str | None:
    if ended.timed_out:
        return _late(timeout)
    if ended.code == 0:
        return None
    how = f"status {ended.code}" if ended.signal is None else f"signal {ended.signal}"
    text = (ended.stderr or ended.stdout)[-SHOWN:].decode(errors="replace")
    said = " ".join(one_line(text, SHOWN).split())
    return f"{how}: {said}" if said else how


def _late(timeout: float) -> str:
    return f"no answer within {timeout:g} s"
