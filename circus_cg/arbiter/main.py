"""`python -m circus_cg.arbiter.main BOOT_FD`: started by the keeper, as often as needed.

The first spawns go out before ZeroMQ is imported: a new arbiter serves workers first and clients 50-100 ms later.
"""

from __future__ import annotations

import asyncio
import importlib
import signal
import sys
from contextlib import suppress
from pathlib import Path

from circus_cg.arbiter import boot
from circus_cg.arbiter.arbiter import Arbiter
from circus_cg.arbiter.journal import Journal
from circus_cg.host import dirs
from circus_cg.keeper.client import KeeperClient
from circus_cg.keeper.wire import Closed


async def serve(record: boot.ArbiterBoot) -> None:
    assert record.runtime is not None and record.state is not None
    keeper = KeeperClient(boot.ARBITER_FD)
    arbiter = Arbiter(record, keeper, keeper.hello(), Journal())
    asyncio.get_running_loop().set_exception_handler(arbiter.on_broken)
    arbiter.begin()
    await asyncio.sleep(0)  # spawn requests that waited for the loop leave first
    control = importlib.import_module("circus_cg.arbiter.control")  # imports zmq: see the module's first lines
    endpoints = control.Endpoints(arbiter, dirs.Dirs(Path(record.runtime), Path(record.state)))
    try:
        await arbiter.gone
    finally:
        endpoints.close()


def main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the keeper hears it and tells us
    record = boot.read(int(sys.argv[1]))
    with suppress(Closed):  # the keeper is gone, and with it our reason to be
        asyncio.run(serve(record))


if __name__ == "__main__":
    main()
