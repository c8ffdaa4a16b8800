"""How the lives of one watcher are asked for, as its spec is now."""

from __future__ import annotations

from typing import Any

from circus_cg.arbiter import life
from circus_cg.arbiter.boot import ArbiterBoot
from circus_cg.cgroup.group import WorkerGroup
from circus_cg.core import plan
from circus_cg.errors import CgroupError
from circus_cg.host.identity import Identity
from circus_cg.keeper.messages import is_understood
from circus_cg.spec import WatcherSpec


class Recipe:
    def __init__(self, spec: WatcherSpec, boot: ArbiterBoot, identity: Identity) -> None:
        self._spec, self._boot = spec, boot
        self._template = life.template(spec, boot, identity)
        self._names_wid, self._speaks = life.names_wid(spec), life.speaks(spec)
        self.digest = plan.digest(spec)
        self.digests = ("", self.digest, plan.former_digest(spec))  # of lives that need no new one

    def command(self, wid: int, group: WorkerGroup, argv: list[str] | None = None) -> dict[str, Any]:
        """The worker's own command, or another as the worker would run it."""
        request = life.request(self._template, group)
        if self._names_wid:
            request = life.with_wid(request, self._spec, wid)
        return request if argv is None else {**request, "argv": argv}

    def life(self, wid: int, group: WorkerGroup, version: int) -> dict[str, Any]:
        """A life, its group made; `version` is the keeper's. Where it can't be, the request says so: the keeper files
        it as failed, so that its ledger and ours stay in step.
        """
        request = self.command(wid, group)
        if self._speaks:
            request = life.with_voice(request, self._spec, self._boot, wid)
        if not is_understood(request, version):
            text = "the running keeper is older than an option of this watcher; restart the daemon"
            request["failed"] = {"stage": "keeper", "errno": 0, "text": text}
        try:
            group.create()
        except (CgroupError, OSError) as refused:
            request["failed"] = {"stage": "cgroup", "errno": refused.errno or 0, "text": str(refused)}
        return request
