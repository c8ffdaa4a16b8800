"""Started by the keeper, as often as needed, with the descriptor of its boot record as the only argument.

The first spawns go out before ZeroMQ is imported: a new arbiter serves workers first and clients 50-100 ms later.
"""

from __future__ import annotations

import asyncio
import importlib
import signal
import sys
from contextlib import suppress
from pathlib import Path

from circus_cg.arbiter import boot, reconfigure
from circus_cg.arbiter.arbiter import Arbiter
from circus_cg.arbiter.journal import Journal
from circus_cg.host import dirs
from circus_cg.keeper import log
from circus_cg.keeper.client import KeeperClient
from circus_cg.keeper.wire import Closed


async def serve(record: boot.ArbiterBoot, audit: int | None) -> None:
    """`audit`: the descriptor of its file, as the keeper opened it or (-1) could not."""
    keeper = KeeperClient(boot.ARBITER_FD)
    hello = keeper.hello()
    record = reconfigure.latest(record, hello["instance"])
    arbiter = Arbiter(record, keeper, hello, Journal(kept=record.spec.events_kept))
    log.log_as({"loglevel": record.spec.loglevel, "logoutput": record.spec.logoutput})
    if arbiter.intents.loglevel is not None:
        log.set_level(arbiter.intents.loglevel)
    asyncio.get_running_loop().set_exception_handler(arbiter.on_broken)
    arbiter.begin()
    await asyncio.sleep(0)  # spawn requests that waited for the loop leave first
    assert record.runtime is not None and record.state is not None
    places = dirs.Dirs(Path(record.runtime), Path(record.state))
    control = importlib.import_module("circus_cg.arbiter.control")  # imports zmq: see the module's first lines
    endpoints = control.Endpoints(arbiter, places, audit)
    publishing = importlib.import_module("circus_cg.arbiter.publishing").Publishing(arbiter, places.pubsub_endpoint)
    keeper.ready(arbiter.summary, serving=True)
    observing = importlib.import_module("circus_cg.arbiter.observing").Observing(arbiter, places)
    try:
        await arbiter.gone
    finally:
        observing.close()
        publishing.close()
        endpoints.close()


def main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the keeper hears it and tells us
    record = boot.read(int(sys.argv[1]))
    audit = int(sys.argv[2]) if len(sys.argv) > 2 else None  # a record that an earlier version made says nothing of it
    with suppress(Closed):  # the keeper is gone, and with it our reason to be
        asyncio.run(serve(record, audit))


if __name__ == "__main__":
    main()
