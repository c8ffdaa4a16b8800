"""The text of one option in circus.ini -> its value, by the table of our own options."""

from __future__ import annotations

import re
from typing import Any

import msgspec
from msgspec import inspect

from circus_cg import units
from circus_cg.config.schema import OPTIONS, Option, fields, from_text, struct_of
from circus_cg.spec import IoMax, Rlimit, Spec, WatcherSpec

_BOOLEANS = {"1": "true", "0": "false"}
_ZEROS = re.compile(r"(?<![0-9])0+(?=[0-9])")
_SEPARATORS = re.compile(r"[,\s]+")


def option_at(key: str, spec: type[Spec] = WatcherSpec) -> tuple[type[msgspec.Struct], str] | None:
    """The spec and the field that a (dotted) key names; None if it names none, or one written otherwise."""
    head, dot, tail = key.partition(".")
    field = fields(spec).get(head)
    if field is None or head == "cmd":
        return None
    if (inner := struct_of(field.type)) is not None:
        return (inner, tail) if tail in fields(inner) else None
    return None if dot or _is_deep(field.type) else (spec, head)


def _is_deep(kind: inspect.Type) -> bool:
    """A mapping, or one of structs: no line of a section can say it. (`limits.io_max` is one level down.)"""
    match kind:
        case inspect.DictType() | inspect.VarTupleType(item_type=inspect.StructType()):
            return True
        case _:
            return False


def made(spec: type[Spec], key: str, values: dict[str, Any]) -> Any:
    """The struct of the option `key` from its read values. Raises ValueError where one is missing."""
    cls = struct_of(fields(spec)[key].type)
    assert cls is not None
    if missing := [name for name, field in fields(cls).items() if field.required and name not in values]:
        raise ValueError(f"{key}.{missing[0]} is missing; {key} needs it")
    return cls(**values)


def value_of(cls: type[msgspec.Struct], key: str, text: str) -> Any:
    """Raises ValueError. Nothing at all is None where an option may be that."""
    option, kind = OPTIONS[cls][key], fields(cls)[key].type
    if isinstance(kind, inspect.UnionType) and kind.includes_none:
        if not text:
            return None
        others = [one for one in kind.types if not isinstance(one, inspect.NoneType)]
        kind = others[0] if len(others) == 1 else kind
    match kind:
        case inspect.VarTupleType(item_type=inspect.StructType()):
            return tuple(_io_max(one) for one in re.split(r"[,\n]+", text) if one.strip())
        case inspect.VarTupleType(item_type=item) if option.item is None:
            return tuple(from_text(item, None, one) for one in _SEPARATORS.split(text) if one)
        case inspect.BoolType():
            return boolean(text)
        case inspect.IntType() if option.unit is None:
            return from_text(kind, None, _ZEROS.sub("", text, count=1))  # circus reads 04 as 4
        case _:
            return from_text(kind, option.unit, text)


def boolean(text: str) -> bool:
    """Raises ValueError."""
    return units.parse_bool(_BOOLEANS.get(text, text))


def rlimit(text: str, hard_nofile: int | None) -> Rlimit:
    """One value for both, or `soft:hard`; nothing is no limit. Raises ValueError.

    `hard_nofile` stands for no limit where the kernel knows none, which is so for open files.
    """
    soft, colon, hard = text.partition(":")
    both = [units.parse_rlimit(one.strip()) if one.strip() else None for one in (soft, hard if colon else soft)]
    both = [hard_nofile if one is None else one for one in both]
    return Rlimit(soft=both[0], hard=both[1])


def _io_max(text: str) -> IoMax:
    """As the kernel's file has it: `8:0 rbps=1M wiops=max`."""
    device, *pairs = text.split()
    values: dict[str, Any] = {}
    for pair in pairs:
        key, equals, written = pair.partition("=")
        option: Option | None = OPTIONS[IoMax].get(key)
        if not equals or option is None or option.unit is None:
            raise ValueError(f"{pair[:60]!r} is wrong; expected rbps=, wbps=, riops= or wiops= and a number")
        values[key] = None if written == option.unit.none else option.unit.parse(written)
    return IoMax(device=device, **values)
