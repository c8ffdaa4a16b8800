"""The configuration's options, from the option table and the specs."""

from __future__ import annotations

import msgspec
from msgspec import NODEFAULT, inspect

from circus_cg.config.defaults import default_of, spelled
from circus_cg.config.document import Document
from circus_cg.config.schema import OPTIONS, Option, expected, fields
from circus_cg.spec import (
    Backoff,
    Control,
    Flapping,
    HealthCheck,
    History,
    IoMax,
    Limits,
    MemoryPolicy,
    Metrics,
    PressurePolicy,
    Rlimit,
    ScalePolicy,
    UdpWatchdog,
    Watchdog,
    WatcherSpec,
)
from docs.generate.blocks import table

SECTIONS: dict[type[msgspec.Struct], str] = {  # the page's headings, as links have them
    Document: "top-level",
    WatcherSpec: "watchers",
    Limits: "limits",
    IoMax: "io_max",
    Backoff: "backoff",
    Flapping: "flapping",
    ScalePolicy: "autoscale",
    MemoryPolicy: "memory_policy",
    Watchdog: "watchdog",
    HealthCheck: "health",
    PressurePolicy: "pressure",
    UdpWatchdog: "udp_watchdog",
    Control: "control",
    History: "history",
    Metrics: "metrics",
    Rlimit: "rlimits",
}


def blocks() -> dict[str, str]:
    return {section: _table(struct) for struct, section in SECTIONS.items()}


def _table(struct: type[msgspec.Struct]) -> str:
    headings, rows = ["key", "value", "default", "meaning"], []
    for key, field in fields(struct).items():
        option = OPTIONS[struct][key]
        rows.append([f"`{key}`", _value(field.type, option), _default(struct, key), option.description])
        if struct is Limits:
            rows[-1].append(f"`{key.replace('_', '.')}`")
    return table([*headings, "kernel's file on v2"] if struct is Limits else headings, rows)


def _value(kind: inspect.Type, option: Option) -> str:
    match kind:
        case inspect.UnionType(types=(inner, inspect.NoneType())):
            return _value(inner, option)
        case inspect.UnionType():
            return "a name or a number"
        case (
            inspect.StructType(cls=cls)
            | inspect.VarTupleType(item_type=inspect.StructType(cls=cls))
            | inspect.DictType(value_type=inspect.StructType(cls=cls))
        ):
            return f"[a mapping](#{SECTIONS[cls]})"
        case inspect.DictType():
            return "a mapping"
        case _:
            return _plain(kind, option)


def _plain(kind: inspect.Type, option: Option) -> str:
    if option.choices or option.words:
        words = [f"`{word}`" for word in option.choices or option.words]
        return " or ".join(words) if option.choices else ", ".join([*words, "a path"])
    if option.unit is not None:
        return option.unit.name + (f", or `{option.unit.none}`" if option.unit.none else "")
    return expected(kind, None) + ("" if isinstance(kind, inspect.VarTupleType) else _range(option))


def _range(option: Option) -> str:
    if option.least is None:
        return ""
    return f", at least {option.least:g}" if option.most is None else f", {option.least:.12g} to {option.most:.12g}"


def _default(struct: type[msgspec.Struct], key: str) -> str:
    option, value = OPTIONS[struct][key], default_of(struct, key)
    if value is NODEFAULT:
        return "required"
    if isinstance(value, msgspec.Struct):
        return "its own defaults"
    if value is None or value in ((), {}):
        return option.absent or "none"
    written = spelled(value, option.unit)
    return f"`{str(written).lower() if isinstance(written, bool) else written}`"
