"""Options by name, dotted below the top: `limits.memory_max` is a part of a struct, `env.LANG` one of a mapping."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import msgspec

from circus_cg.spec import WatcherSpec

Options = dict[str, Any]  # as the specs have them in JSON; a later one goes over an earlier one that it is a part of


def at(spec: WatcherSpec, key: str) -> Any:
    """The value of an option, as JSON has it; None for what a mapping has not."""
    head, _, rest = key.partition(".")
    value = getattr(spec, head)
    if rest:
        value = value.get(rest) if isinstance(value, Mapping) else getattr(value, rest)
    return msgspec.to_builtins(value)


def put(spec: WatcherSpec, options: Mapping[str, Any]) -> WatcherSpec:
    """`spec` with these; None takes an item from a mapping. Raises msgspec.ValidationError."""
    said = {name: msgspec.to_builtins(getattr(spec, name)) for name in spec.__struct_fields__}
    for key, value in options.items():
        head, _, rest = key.partition(".")
        if not rest:
            said[head] = value
        elif not isinstance(parts := said.get(head), dict):
            raise msgspec.ValidationError(f"`{head}` has no parts")
        elif value is None and isinstance(getattr(spec, head), Mapping):
            said[head] = {name: one for name, one in parts.items() if name != rest}
        else:
            said[head] = {**parts, rest: value}
    return msgspec.convert(said, WatcherSpec)


def concerns(keys: Collection[str], key: str) -> bool:
    """Whether `key` is one of them, or a part of one. A part has none: `env.A.B` is the variable `A.B`."""
    return any(key == one or ("." not in one and key.startswith(f"{one}.")) for one in keys)


def without(options: Options, keys: Collection[str], spec: WatcherSpec) -> Options:
    """Those that `keys` don't concern. A whole that loses a part is kept as its other parts, as `spec` has them."""
    found: Options = {}
    for key, value in options.items():
        parts = _parts(spec, key) if any(one.startswith(f"{key}.") for one in keys) else ()
        found |= {part: at(spec, part) for part in parts} or {key: value}
    return {key: value for key, value in found.items() if not concerns(keys, key)}


def _parts(spec: WatcherSpec, key: str) -> list[str]:
    """None of what is no whole."""
    value = getattr(spec, key, None)
    names = value.__struct_fields__ if isinstance(value, msgspec.Struct) else value if isinstance(value, dict) else ()
    return [f"{key}.{name}" for name in names]
