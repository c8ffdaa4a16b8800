"""What a file may say at its top beyond the spec itself, and how several files become one spec."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from msgspec import field
from msgspec.structs import asdict, replace

from circus_cg.spec import ArbiterSpec, Spec, WatcherSpec


class Document(ArbiterSpec, frozen=True, kw_only=True):
    """A configuration file: the daemon, its watchers, and where more watchers are written."""

    include: tuple[str, ...] = ()
    env: dict[str, str] = field(default_factory=dict)

    def spec(self, watchers: tuple[WatcherSpec, ...]) -> ArbiterSpec:
        """`watchers` instead of our own, each with our `env` beneath its own."""
        ours = {key: value for key, value in asdict(self).items() if key not in ("include", "env", "watchers")}
        merged = (replace(one, env={**self.env, **one.env}) if self.env else one for one in watchers)
        return ArbiterSpec(**ours, watchers=tuple(merged))


class Part(Spec, frozen=True, kw_only=True):
    """An included file: watchers, and nothing that concerns the others."""

    watchers: tuple[WatcherSpec, ...] = ()


class Text(NamedTuple):
    file: str  # its name in messages
    text: str


class Found(NamedTuple):
    """What an item of `include` led to; a problem is told where the item stands."""

    texts: tuple[Text, ...] = ()
    problems: tuple[str, ...] = ()


Find = Callable[[str], Found]  # called with each item of `include`, in order
