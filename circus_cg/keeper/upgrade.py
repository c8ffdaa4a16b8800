"""One upgrade in place, from the question to the answer: seal, rehearse, replace the arbiter, and return if it fails.

The keeper does what is decided here; nothing waits. Its law is docs/explanation/keeper.md.
"""

import json
import os
import signal
from contextlib import suppress
from enum import Enum
from math import inf
from typing import NamedTuple, Protocol

from circus_cg.keeper import succession
from circus_cg.keeper.door import Asker
from circus_cg.keeper.errand import FIRST_FD, Errand
from circus_cg.keeper.link import ArbiterLink
from circus_cg.keeper.log import say
from circus_cg.keeper.messages import Message

LEAVE_LIMIT = 5.0  # seconds for the old arbiter to leave by itself
READY_LIMIT = 30.0  # seconds for the new one, however often it is started, to be ready and serving
DEATHS = 3  # of new arbiters before one was
SEAL = "circus_cg.cli.seal"  # a module of the installed code; what it is given and gives must stay as it is


class Stage(Enum):
    SEALING = "sealing"  # the installed code reads the configuration
    REHEARSING = "rehearsing"  # its keeper reads a copy of the state
    LEAVING = "leaving"  # the old arbiter has been asked to
    DUE = "due"  # no arbiter lives; the keeper is to become its next image
    STARTING = "starting"  # the new arbiter is not ready yet
    RETURNING = "returning"  # nor the old one, after a failure
    OVER = "over"


class Upgradable(Protocol):
    """The keeper, as far as this goes."""

    def record(self) -> Message: ...
    def state(self) -> Message: ...
    def go_by(self, boot: Message) -> None: ...
    def watch(self, fd: int) -> None: ...
    def unwatch(self, fd: int) -> None: ...
    def upgraded(self, text: str) -> None: ...


class Outcome(NamedTuple):
    text: str
    answer: Message


class Upgrade:
    def __init__(self, keeper: Upgradable, arbiter: ArbiterLink, asker: Asker | None) -> None:
        self._keeper, self._arbiter, self.asker = keeper, arbiter, asker
        self.stage = Stage.SEALING
        self.old = keeper.record()
        self.new: Message = {}
        self.deadline = inf
        self._errand: Errand | None = None
        self._deaths = 0
        self._why = ""
        self._failed: int | None = None  # the new arbiter that must go

    # -- beginnings --------------------------------------------------------------------------------

    def begin(self, python: object, now: float) -> None:
        """Ask the code installed for `python` (by default the daemon's own) to read the configuration again."""
        if not (python is None or _is_path(python)):
            self._refuse(f"{python!r} is no absolute path of a Python")
            return
        source = {**self.old["source"], **({"python": python} if python else {})}
        more = {"control": self.old["control"]["path"], "instance": self.old["instance"]}
        fd = succession.write("circus-cg-source", {**source, **more})
        try:
            argv = [source["python"], "-P", "-m", SEAL]
            self._send(argv, self.old["arbiter"]["env"], [self.old["pass_fds"][0], fd], now)
        except OSError as cause:
            self._refuse(f"cannot start {source['python']}: {cause.strerror}")
        finally:
            os.close(fd)

    def resumed(self, old: Message, new: Message, failed: str | None, now: float) -> None:
        """In the next image; or, when that `failed` to begin, in this one again."""
        self.old, self.new = old, new
        if failed is None:
            self._start(now)
        else:
            self._return(f"the new keeper can't begin: {failed}", now)

    # -- what happens ------------------------------------------------------------------------------

    def __contains__(self, fd: int) -> bool:
        return self._errand is not None and fd == self._errand.pidfd

    @property
    def child(self) -> int | None:
        return None if self._errand is None else self._errand.pid

    def on_errand_ended(self, now: float) -> None:
        """Or so it seems: one that began in the same turn of the loop may have the number of the one that has ended."""
        errand = self._errand
        assert errand is not None
        if not errand.has_ended:
            return
        self._errand = None
        self._keeper.unwatch(errand.pidfd)
        status, body, fds = errand.finish()
        words = errand.printed()
        errand.close()
        self.deadline = inf
        if self.stage is Stage.SEALING:
            self._on_sealed(status, body, fds, words, now)
        elif os.waitstatus_to_exitcode(status) == 0 and words.startswith("understood"):
            self._leave(now)
        else:
            self._refuse(f"the new keeper does not understand the state of the one that runs: {_end(status)}: {words}")

    def on_arbiter_gone(self, now: float) -> None:
        """Whichever it was, none lives now."""
        if self.stage is Stage.LEAVING:
            if self._keeper_stays:
                self._start(now)
            else:
                self.stage, self.deadline = Stage.DUE, inf
        elif self.stage is Stage.STARTING:
            self._deaths += 1
            if self._deaths >= DEATHS:
                self._return(f"the new arbiter died {self._deaths} times before it was ready", now)

    def on_not_executed(self, cause: OSError, now: float) -> None:
        """The next image can't be run at all; this one goes on."""
        self._return(f"cannot execute {self.new['image']['python']}: {cause.strerror}", now)

    def on_ready(self, serving: bool) -> None:
        """An arbiter is; `serving`: it hears commands too. One of another version may never say so."""
        if self.stage is Stage.STARTING and serving:
            version, keeper = self.new["version"], "kept" if self._keeper_stays else "replaced"
            told = {key: self.new[key] for key in ("watchers", "warnings")}
            answer = {"version": version, "keeper": keeper, **told}
            self._finish(f"upgraded to {version}, keeper {keeper}", {"done": answer}, gone=self.old)
        elif self.stage is Stage.RETURNING and self._arbiter.pid != self._failed:
            self._finish(f"{self._why}; everything is as before", {"rolled_back": self._why}, gone=self.new)

    def on_deadline(self, now: float) -> None:
        if now < self.deadline:
            return
        self.deadline = inf
        match self.stage:
            case Stage.SEALING | Stage.REHEARSING:
                if self._errand is not None:
                    self._errand.kill()
            case Stage.LEAVING:
                self._arbiter.kill()
            case Stage.STARTING:
                self._return(f"the new arbiter was not ready within {READY_LIMIT:g} s", now)
            case Stage.RETURNING:
                why = f"{self._why}; and the old one is not ready either"
                self._finish(why, {"rolled_back": why}, gone=self.new)
            case Stage.DUE | Stage.OVER:
                pass

    def abandon(self, why: str) -> None:
        """The daemon stops: what was begun ends with it. An arbiter that is between two is not waited for."""
        if self.stage in (Stage.LEAVING, Stage.STARTING, Stage.RETURNING):
            self._arbiter.kill()
        if self._errand is not None:
            self._keeper.unwatch(self._errand.pidfd)
            self._errand.kill()
            _, _, fds = self._errand.finish()
            for fd in fds:
                os.close(fd)
            self._errand.close()
            self._errand = None
        self._finish(f"upgrade given up: {why}", {"refused": f"cannot upgrade: {why}", "exit": 1}, gone={})

    # -- decisions ---------------------------------------------------------------------------------

    def _on_sealed(self, status: int, body: bytes, fds: list[int], words: str, now: float) -> None:
        try:
            told = json.loads(body) if body else {}
            if "refused" in told:
                self._refuse(str(told["refused"]), int(told["exit"]))
                return
            if status != 0 or not told:
                raise ValueError(f"{_end(status)}: {words}")
            record, boot, image, *launcher = fds
            sealed = json.loads(os.pread(record, os.fstat(record).st_size, 0))
            os.close(record)
            self.new = self._next(sealed, boot, image, launcher[0] if launcher else None)
        except (KeyError, TypeError, ValueError) as bad:
            for fd in fds:
                with suppress(OSError):
                    os.close(fd)
            self._refuse(f"the installed code can't seal the configuration: {bad}")
            return
        for line in self.new["warnings"]:
            say("keeper", f"warning: {line}")
        if self._keeper_stays:
            self._leave(now)
        elif not os.access(back := self.old["image"]["python"], os.X_OK):
            self._refuse(
                f"{back}, the running keeper's Python, is gone: no way back; put it back, or restart the daemon"
            )
        else:
            self._rehearse(now)

    @property
    def _keeper_stays(self) -> bool:
        """Its code is the same; where the Python lies that runs it may have changed."""
        return bool(self.new["image"]["fd"] == self.old["image"]["fd"])

    def _next(self, sealed: Message, boot: int, image: int, launcher: int | None) -> Message:
        """The record to go by. The keeper stays the image it is where its code is the same."""
        running = self.old["image"]
        keeper = {**sealed["image"], "fd": image, "launcher": launcher}
        if sealed["image"]["digest"] == running["digest"]:
            keeper = {**running, "python": sealed["image"]["python"]}  # the other one may be gone when it is needed
            if launcher is not None:
                os.close(launcher)
        return {
            **self.old,
            "arbiter": {"argv": sealed["arbiter"]["argv"], "env": sealed["arbiter"]["env"]},
            "pass_fds": [boot, image, *self.old["pass_fds"][2:]],  # a listening socket stays
            "image": keeper,
            **({"audit": sealed["audit"]} if "audit" in sealed else {}),
            "source": {**self.old["source"], "python": sealed["image"]["python"]},
            "version": str(sealed["image"]["version"]),
            "watchers": int(sealed["watchers"]),
            "warnings": list(sealed["warnings"]),
        }

    def _rehearse(self, now: float) -> None:
        self.stage = Stage.REHEARSING
        state = succession.write("circus-cg-rehearsal", self._keeper.state())
        image = self.new["image"]
        try:
            argv = succession.rehearsal_command(image, FIRST_FD + 1, FIRST_FD)
            self._send(argv, self.old["arbiter"]["env"], [state, image["fd"]], now)
        except OSError as cause:
            self._refuse(f"cannot start {image['python']}: {cause.strerror}")
        finally:
            os.close(state)

    def _send(self, argv: list[str], env: dict[str, str], fds: list[int], now: float) -> None:
        self._errand = Errand(argv, env, fds, now)
        self.deadline = self._errand.deadline
        self._keeper.watch(self._errand.pidfd)

    def _leave(self, now: float) -> None:
        self.stage = Stage.LEAVING
        if self._arbiter.pid is None:
            self.on_arbiter_gone(now)
        else:
            self.deadline = now + LEAVE_LIMIT
            self._arbiter.ask_to_leave()

    def _start(self, now: float) -> None:
        self.stage, self.deadline, self._deaths = Stage.STARTING, now + READY_LIMIT, 0
        self._keeper.go_by(self.new)

    def _return(self, why: str, now: float) -> None:
        """To the arbiter, the code and the configuration of before; a new keeper that has begun stays."""
        say("keeper", f"{why}; the old arbiter comes back")
        self._why = why
        self.stage, self.deadline = Stage.RETURNING, now + READY_LIMIT
        running = self.old if self._keeper_stays else self._keeper.record()  # nothing else of a failed installation's
        self._keeper.go_by({**self.old, "image": running["image"]})
        self._failed = self._arbiter.pid  # its last words are still to come
        self._arbiter.kill()

    def _refuse(self, text: str, status: int = 1) -> None:
        """Nothing was changed."""
        why = text if text.startswith("cannot") or status != 1 else f"cannot upgrade: {text}"
        self._finish(f"not upgraded: {why}", {"refused": why, "exit": status}, gone=self.new)

    def _finish(self, text: str, answer: Message, gone: Message) -> None:
        """`gone`: the record that is not gone by; its descriptors are closed as far as no other needs them."""
        self.stage, self.deadline = Stage.OVER, inf
        if gone:  # and the old one's image and launcher, where all is as before but a new keeper stays
            spoken_of = {*succession.held_fds(self.old), *succession.held_fds(gone)}
            for fd in spoken_of.difference(succession.held_fds(self._keeper.record())):
                os.close(fd)
        if self.asker is not None:
            self.asker.answer(answer)
        self._keeper.upgraded(text)


def _is_path(text: object) -> bool:
    """Absolute, and one that the kernel can be asked for."""
    try:
        return isinstance(text, str) and text.startswith("/") and b"\0" not in os.fsencode(text)
    except UnicodeEncodeError:
        return False


def _end(status: int) -> str:
    code = os.waitstatus_to_exitcode(status)
    return f"exit {code}" if code >= 0 else f"ended by {signal.Signals(-code).name}"
