"""ps, status: read when asked for and never otherwise."""

from __future__ import annotations

from circus_cg.arbiter.arbiter import Arbiter
from circus_cg.arbiter.commands.target import Fields, runner_of, runners_of
from circus_cg.arbiter.report import status_of, worker_rows
from circus_cg.rpc import messages as rpc


async def ps(arbiter: Arbiter, asked: rpc.Name) -> Fields:
    return {"workers": [row for runner in runners_of(arbiter, asked.name) for row in worker_rows(runner)]}


async def status(arbiter: Arbiter, asked: rpc.Name) -> Fields:
    if asked.name is not None:
        return {"status": status_of(runner_of(arbiter, asked.name)), "name": asked.name}
    return {"statuses": {name: status_of(runner) for name, runner in arbiter.runners.items()}}
