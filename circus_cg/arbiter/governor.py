"""One watcher's policies at work: a timer, a look at the kernel's counters, a law, what it says done and told.

A watcher without a policy has none of this: no timer, no descriptor, no memory.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from circus_cg.arbiter import because, gauge
from circus_cg.arbiter.intent import keep
from circus_cg.arbiter.runner import WatcherRunner
from circus_cg.core import account, autoscale, memory
from circus_cg.core import events as ev
from circus_cg.core.state import Reason
from circus_cg.host import clock
from circus_cg.spec import MemoryPolicy, ScalePolicy, WatcherSpec

if TYPE_CHECKING:  # the arbiter is built on this
    from circus_cg.arbiter.arbiter import Arbiter

EVERY = 2.0  # seconds between two looks at the workers' memory


def is_needed(spec: WatcherSpec) -> bool:
    return spec.autoscale is not None or memory.applies(spec.limits, spec.memory_policy)


class Governor:
    def __init__(self, arbiter: Arbiter, runner: WatcherRunner, host: gauge.Host) -> None:
        self._arbiter, self._runner = arbiter, runner
        said = arbiter.intents.of(runner.spec.name).scaling
        self._scaling = autoscale.State() if said is None else said.state
        self._decision: autoscale.Decision | None = None
        self._told: dict[str, float] = {}
        self._memory = memory.State()
        self._gauge = gauge.Gauge(runner, host)
        self._due = {"scaling": 0.0, "memory": 0.0}
        self._timer: asyncio.TimerHandle | None = None
        self.looks = 0

    def adjust(self) -> None:
        """By the spec as it is now, from now on."""
        self.close()
        spec, now = self._runner.spec, clock.now()
        if spec.autoscale is None:
            self._scaling, self._decision = autoscale.State(), None
        self._due = {"scaling": now, "memory": now}
        self._timer = asyncio.get_running_loop().call_later(self._every, self._look)

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def pin(self) -> None:
        """The operator gave a number: it stays for a while, and over the arbiter's death."""
        spec = self._runner.spec
        if spec.autoscale is None:
            return
        self._scaling = autoscale.pin(spec.autoscale, self._scaling, clock.now())
        keep(self._arbiter.intents.scale, spec.name, None, self._scaling)
        inputs = {"wanted": self._runner.numprocesses, "hold": spec.autoscale.hold, "veto": "pinned"}
        text = f"{self._runner.numprocesses} workers are the operator's number, for {spec.autoscale.hold:g} s"
        self._arbiter.journal.decide(spec.name, None, "hold", text, inputs)

    def unpin(self) -> None:
        """The number is the configuration's again: the law goes on from there."""
        self._scaling = autoscale.unpin(self._scaling)
        if self._runner.spec.autoscale is not None:
            keep(self._arbiter.intents.scale, self._runner.spec.name, None, self._scaling)

    def shown(self) -> dict[str, Any] | None:
        """What the autoscaler last thought; `pinned`: for how many seconds more the operator's number stays."""
        policy = self._runner.spec.autoscale
        if policy is None:
            return None
        until, decision = self._scaling.pinned_until, self._decision
        return {
            "numprocesses": self._runner.numprocesses,
            "min": policy.min,
            "max": policy.max,
            "dry_run": policy.dry_run,
            "pinned": None if until is None or until <= clock.now() else round(until - clock.now(), 1),
            "verdict": None if decision is None else str(decision.verdict),
            "veto": None if decision is None or decision.veto is None else str(decision.veto),
            "reason": None if decision is None else account.text(decision),
            "inputs": None if decision is None else account.inputs(decision),
        }

    # -- looking -------------------------------------------------------------------------------------

    @property
    def _every(self) -> float:
        spec = self._runner.spec
        own = [] if spec.autoscale is None else [spec.autoscale.sample]
        if memory.applies(spec.limits, spec.memory_policy):
            own.append(memory.interval(spec.memory_policy, EVERY))
        return min(own)

    def _look(self) -> None:
        """A late look is for the laws to see: they judge by when it was."""
        every = self._every
        self._timer = asyncio.get_running_loop().call_later(every, self._look)
        runner, now = self._runner, clock.now()
        if not runner.wanted or runner.frozen:
            return  # nobody works, or not all can
        self.looks += 1
        spec = runner.spec
        if spec.autoscale is not None and now >= self._due["scaling"] - every / 2:
            self._due["scaling"] = now + spec.autoscale.sample
            self._scale(spec.autoscale, now)
        if memory.applies(spec.limits, spec.memory_policy) and now >= self._due["memory"] - every / 2:
            self._due["memory"] = now + memory.interval(spec.memory_policy, EVERY)
            self._mind_memory(spec.memory_policy, now)

    def _scale(self, policy: ScalePolicy, now: float) -> None:
        runner = self._runner
        sample = self._gauge.sample(policy, now)
        if len(sample.workers) < runner.numprocesses:
            return  # the others have not begun: they wait for another watcher, or for their turn
        self._scaling, decision = autoscale.decide(policy, self._scaling, (sample,), now)
        self._decision = decision
        if not account.is_news(decision, self._told, now):
            return
        self._told[account.subject(decision)] = now
        name = runner.spec.name
        cause = self._arbiter.journal.decide(
            name, None, decision.verdict, account.text(decision), account.inputs(decision)
        )
        if decision.wanted is not None and decision.wanted != len(sample.workers):
            keep(self._arbiter.intents.scale, name, decision.wanted, self._scaling)
            runner.numprocesses = decision.wanted
            for wid in decision.leaving:
                runner.deliver(wid, ev.Stop(id=cause))
            runner.take_up(cause)

    def _mind_memory(self, policy: MemoryPolicy, now: float) -> None:
        runner = self._runner
        workers = self._gauge.memories(policy)
        room = self._gauge.room(now) if self._memory.above else None
        self._memory, asked = memory.decide(runner.spec, self._memory, workers, room, now)
        if asked is None:
            return
        used = {str(one.wid): one.current for one in workers if one.wid == asked.wid}
        inputs = {"generation": asked.generation, "rule": asked.rule, "current": used, "room": room}
        cause = self._arbiter.journal.decide(runner.spec.name, asked.wid, "replace", asked.reason, inputs)
        if asked.new_first:
            with because.because(cause):
                runner.replace(asked.wid, asked.generation, "memory", asked.reason)
        else:
            why: Reason = "stalled" if asked.rule == "stalled" else "memory"
            runner.deliver(asked.wid, ev.End(cause, asked.generation, why, asked.reason))


class Governors:
    """Those of an arbiter, by watcher."""

    def __init__(self, arbiter: Arbiter) -> None:
        self._arbiter = arbiter
        self._of: dict[str, Governor] = {}
        self._host = gauge.Host()

    def __contains__(self, name: str) -> bool:
        return name in self._of

    def adjust(self, runner: WatcherRunner) -> None:
        """As its spec says now."""
        name = runner.spec.name
        if runner.spec.autoscale is None:
            keep(self._arbiter.intents.unscale, name)
        if not is_needed(runner.spec):
            self.forget(name)
            return
        if name not in self._of:
            self._of[name] = Governor(self._arbiter, runner, self._host)
        self._of[name].adjust()

    def pin(self, name: str) -> None:
        if name in self._of:
            self._of[name].pin()

    def unpin(self, name: str) -> None:
        if name in self._of:
            self._of[name].unpin()

    def shown(self, name: str) -> dict[str, Any] | None:
        return self._of[name].shown() if name in self._of else None

    def forget(self, name: str) -> None:
        if (there := self._of.pop(name, None)) is not None:
            there.close()

    def close(self) -> None:
        for name in list(self._of):
            self.forget(name)
