"""What the operator did at run time: kept in intent.json and merged over the configuration by the next arbiter.

It lasts as long as this daemon: `instance` names the keeper it belongs to. A fresh start begins from the configuration.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec
from msgspec.structs import replace

from circus_cg.config import validate
from circus_cg.core import autoscale, dotted, plan
from circus_cg.core.dotted import Options
from circus_cg.host.identity import Identity
from circus_cg.keeper.log import say
from circus_cg.spec import WatcherSpec


class Scaling(msgspec.Struct, kw_only=True, omit_defaults=True, frozen=True):
    """What the autoscaler leaves to the next arbiter."""

    count: int | None = None  # its own last word; None: the operator has spoken since, or it has not yet
    state: autoscale.State = autoscale.State()


class Intent(msgspec.Struct, kw_only=True, omit_defaults=True, frozen=True):
    """What was said of one watcher. None: the configuration's own word stands."""

    wanted: bool | None = None
    numprocesses: int | None = None
    added: WatcherSpec | None = None  # it is not of the configuration, or instead of what that has
    changed: dict[str, Any] | None = None  # `options`, each whole: what an earlier version kept, and comes back to
    dotted: Options | None = None  # None: that version's are all there are
    identity: Identity | None = None  # resolved when it was said: a user may be gone when an arbiter begins
    removed: bool = False
    renew: dict[int, int] = {}  # wid -> generation of the lives that were to be replaced by new ones
    rolling: dict[int, int] = {}  # the same, one after the other
    frozen: dict[int, int] = {}  # wid -> generation of the lives that were to stand still
    scaling: Scaling | None = None

    @property
    def options(self) -> Options:
        """What `set` gave; what it did not is the configuration's to say, in the same struct or mapping too."""
        return (self.changed or {}) if self.dotted is None else self.dotted

    def giving(self, options: Options, spec: WatcherSpec) -> Intent:
        """With these, which `spec` has; what a later version left and this one has no option for stays as it is."""
        wholes = sorted({key.partition(".")[0] for key in options})
        left = self.changed or {}
        changed = {key: dotted.at(spec, key) if hasattr(spec, key) else left.get(key) for key in wholes}
        return replace(self, dotted=options or None, changed=changed or None)


class _Document(msgspec.Struct, kw_only=True):
    instance: str
    version: int = 1
    loglevel: str | None = None
    watchers: dict[str, Intent] = {}


class Intents:
    """Each method that changes something has it on disk before it returns, so before anything is done about it.

    They raise OSError; what was said holds for this arbiter even so. Without a `path` it is kept in memory only: the
    arbiter's end is the daemon's.
    """

    def __init__(
        self, path: Path | None, instance: str, over: Callable[[WatcherSpec], WatcherSpec] | None = None
    ) -> None:
        """`over` gives what the operator set to outlast the daemon, which goes over the configuration first."""
        self._path, self._over = path, over
        self._document = _Document(instance=instance) if path is None else _read(path, instance)

    # -- what holds ------------------------------------------------------------------------------

    def of(self, name: str) -> Intent:
        return self._document.watchers.get(name, Intent())

    def specs(self, configured: Iterable[WatcherSpec]) -> list[WatcherSpec]:
        """The configuration's watchers as they were changed, then those added; the removed ones too."""
        own = {spec.name: spec for spec in configured}
        added = [one.added for name, one in self._document.watchers.items() if name not in own and one.added]
        return [self.fit(spec) for spec in (*own.values(), *added)]

    def merged(self, spec: WatcherSpec) -> WatcherSpec:
        """What was said instead of `spec`. Options that don't fit any more are left out."""
        return self._over_with(spec, lambda _: None)

    def fit(self, spec: WatcherSpec) -> WatcherSpec:
        """As merged(), and what is wrong together with a changed configuration is left out as well: it must run."""
        merged = self.merged(spec)
        if not self.of(spec.name).options or _wrong(merged) is None:
            return merged
        return self._over_with(spec, _wrong)

    def _over_with(self, spec: WatcherSpec, wrong: Callable[[WatcherSpec], str | None]) -> WatcherSpec:
        said = self.of(spec.name)
        merged = said.added or (spec if self._over is None else self._over(spec))
        for key, value in said.options.items():
            try:
                candidate = dotted.put(merged, {key: value})
                why = wrong(candidate)
            except msgspec.ValidationError as misfit:
                why = str(misfit)
            if why is None:
                merged = candidate
            else:
                text = f"cannot apply the {key} that was set for {spec.name}: {why}; its configuration stands"
                say("arbiter", text)
        return merged

    def wanted(self, spec: WatcherSpec) -> bool:
        said = self.of(spec.name).wanted
        return spec.autostart if said is None else said

    def numprocesses(self, spec: WatcherSpec) -> int:
        said = self.of(spec.name)
        if spec.autoscale is None:
            return spec.numprocesses if said.numprocesses is None else said.numprocesses
        if said.scaling is not None and said.scaling.count is not None:
            return said.scaling.count
        return autoscale.first_count(spec) if said.numprocesses is None else said.numprocesses

    # -- what is said ----------------------------------------------------------------------------

    def want(self, names: Iterable[str], wanted: bool) -> None:
        self._put({name: replace(self.of(name), wanted=wanted) for name in names})

    def renew(self, lives: Mapping[str, dict[int, int]]) -> None:
        """These lives of these watchers are to be replaced, wanted or not before."""
        said = {name: (self.of(name), stale) for name, stale in lives.items()}
        self._put({n: replace(one, wanted=True, renew={**one.renew, **stale}) for n, (one, stale) in said.items()})

    def roll(self, name: str, lives: dict[int, int]) -> None:
        """These are to be replaced one after the other; all that were, when it is empty."""
        self.put(name, replace(self.of(name), rolling=lives))

    def freeze(self, lives: Mapping[str, dict[int, int]]) -> None:
        """These lives of these watchers are to stand still."""
        said = {name: (self.of(name), still) for name, still in lives.items()}
        self._put({n: replace(one, frozen={**one.frozen, **still}) for n, (one, still) in said.items()})

    def thaw(self, workers: Mapping[str, Iterable[int]]) -> None:
        """These workers (wids) of these watchers are to go on."""
        self._put({name: replace(one := self.of(name), frozen=_without(one.frozen, w)) for name, w in workers.items()})

    def count(self, name: str, numprocesses: int) -> None:
        self.put(name, replace(self.of(name), numprocesses=numprocesses))

    def scale(self, name: str, count: int | None, state: autoscale.State) -> None:
        """The autoscaler's word; without a `count` the operator's stands."""
        self.put(name, replace(self.of(name), scaling=Scaling(count=count, state=autoscale.lasting(state))))

    def unscale(self, name: str) -> None:
        """It has no autoscaler: what one came to is not what the next one begins with."""
        if (said := self.of(name)).scaling is not None:
            self.put(name, replace(said, scaling=None))

    def add(self, spec: WatcherSpec, identity: Identity, wanted: bool) -> None:
        self.put(spec.name, Intent(added=spec, identity=identity, wanted=wanted))

    def change(self, old: WatcherSpec, new: WatcherSpec, identity: Identity, lives: dict[int, int]) -> None:
        """`old` became `new`; a changed count is pinned as by count(); `lives` are to be replaced."""
        said = self.of(new.name)
        changed = [key for key in plan.diff(old, new).changed if key != "numprocesses"]
        others = {key: value for key, value in said.options.items() if not dotted.concerns(changed, key)}
        count = new.numprocesses if new.numprocesses != old.numprocesses else said.numprocesses
        stale = {**said.renew, **lives}
        now = said.giving({**others, **{key: dotted.at(new, key) for key in changed}}, new)
        self.put(new.name, replace(now, identity=identity, numprocesses=count, renew=stale))

    def unsay(self, spec: WatcherSpec, keys: Collection[str]) -> None:
        """These options are the configuration's again, whatever it will say; `spec` is what the watcher is now."""
        said = self.of(spec.name)
        count = None if dotted.concerns(keys, "numprocesses") else said.numprocesses
        now = said.giving(dotted.without(said.options, keys, spec), spec)
        self.put(spec.name, replace(now, numprocesses=count))

    def remove(self, name: str) -> None:
        """It is to go; its spec is kept until it has gone, since it must be stopped by its own rules."""
        self.put(name, replace(self.of(name), removed=True, wanted=False))

    def gone(self, name: str, configured: bool) -> None:
        """It has gone; one of the configuration stays removed."""
        self.put(name, Intent(removed=True, wanted=False) if configured else None)

    def put(self, name: str, intent: Intent | None) -> None:
        self._put({name: intent})

    def _put(self, intents: Mapping[str, Intent | None]) -> None:
        """One write, of however many; None forgets."""
        watchers = {name: one for name, one in {**self._document.watchers, **intents}.items() if one is not None}
        if watchers == self._document.watchers:
            return
        self._keep(replace(self._document, watchers=watchers))

    @property
    def loglevel(self) -> str | None:
        return self._document.loglevel

    def say_level(self, level: str) -> None:
        """Of the log; None was said when the daemon began."""
        self._keep(replace(self._document, loglevel=level))

    def _keep(self, document: _Document) -> None:
        self._document = document
        if self._path is not None:
            write_private(self._path, msgspec.json.encode(self._document))


def _without(lives: dict[int, int], wids: Iterable[int]) -> dict[int, int]:
    gone = set(wids)
    return {wid: generation for wid, generation in lives.items() if wid not in gone}


def keep(say_it: Callable[..., None], *what: object) -> None:
    """An operator in need is obeyed though the disk is full: then it holds until this arbiter dies."""
    try:
        say_it(*what)
    except OSError as failed:
        say("arbiter", f"cannot keep what was asked for the next arbiter: {failed}; free the state directory")


def _read(path: Path, instance: str) -> _Document:
    """An absent, foreign or broken file is an empty one: losing it loses intent, never supervision."""
    try:
        document = msgspec.json.decode(path.read_bytes(), type=_Document)
    except (OSError, msgspec.DecodeError):
        return _Document(instance=instance)
    return document if document.instance == instance else _Document(instance=instance)


def write_private(path: Path, body: bytes, *, durable: bool = False) -> None:
    """Atomic against our own death; `durable`: against a crash of the machine too, after which nobody needs intents."""
    new = path.with_suffix(".new")
    fd = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    with os.fdopen(fd, "wb") as file:
        file.write(body)
        if durable:
            file.flush()
            os.fsync(fd)
    os.replace(new, path)
    if durable:
        directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)


def _wrong(spec: WatcherSpec) -> str | None:
    return next((f"{'.'.join(found.path)}: {found.text}" for found in validate.alone(spec)), None)
