"""ArbiterSpec -> the YAML that means the same: only what differs from the defaults, in the units of an operator."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from decimal import Decimal
from typing import Any

import msgspec
import yaml

from circus_cg import units
from circus_cg.config import schema
from circus_cg.config.problems import Path
from circus_cg.config.schema import KEYS, OPTIONS, Option, Unit, fields
from circus_cg.spec import ArbiterSpec, Rlimit, StopStep

_FIRST = re.compile(r"[A-Za-z_./](?:[A-Za-z0-9_./+@%=,:~-]*[A-Za-z0-9_./+@%=,~-])?")
_FURTHER = re.compile(r"(?:[A-Za-z0-9_./+@%=,:~-]*[A-Za-z0-9_./+@%=,~-])")
_RESOLVER = yaml.resolver.Resolver()
_TEXT = "tag:yaml.org,2002:str"

_SIZES = [("T", 2**40), ("G", 2**30), ("M", 2**20), ("K", 2**10), ("", 1)]
_TIMES = [("d", 86400), ("h", 3600), ("m", 60), ("s", 1)]
_COUNTED = frozenset({"cpu", "nice", "nofile", "nproc", "rtprio", "rttime", "sigpending"})  # rlimits that are no bytes

Comments = Mapping[Path, Sequence[str]]
NOTHING: Comments = {}


def write(spec: ArbiterSpec, comments: Comments = NOTHING) -> str:
    """The text. `comments` stand above what they are about, those of () above all.

    Raises ValueError for what can't be written: a number with more digits than are read.
    """
    lines = [_comment(line) for line in comments.get((), ())]
    lines += _struct(spec, (), comments)
    if not spec.watchers:
        lines.append("watchers: {}")
    return "\n".join(lines) + "\n"


def _struct(value: msgspec.Struct, path: Path, comments: Comments) -> Iterator[str]:
    """`key: value` lines of what differs from the defaults."""
    cls = type(value)
    for key, field in fields(cls).items():
        one = getattr(value, key)
        default = field.default if field.default_factory is msgspec.NODEFAULT else field.default_factory()
        if one == default:
            continue
        if isinstance(one, tuple) and one and isinstance(one[0], msgspec.Struct):
            yield from _keyed(key, one, (*path, key), comments)
        elif isinstance(one, msgspec.Struct):
            yield from _block(text(key), list(_struct(one, (*path, key), comments)))
        else:
            yield from _entry(text(key), one, OPTIONS[cls][key])


def _keyed(key: str, values: tuple[msgspec.Struct, ...], path: Path, comments: Comments) -> Iterator[str]:
    """A mapping of structs by their names."""
    yield f"{key}:"
    for one in values:
        name = getattr(one, KEYS[type(one)])
        here = (*path, name)
        yield from (f"  {_comment(line)}" for line in comments.get(here, ()))
        yield from _indented(_block(text(name), list(_struct(one, here, comments))))


def _entry(name: str, value: Any, option: Option) -> Iterator[str]:
    match value:
        case dict():
            yield from _block(name, [f"{text(one)}: {_item(one, item)}" for one, item in value.items()])
        case tuple() if option.unit is schema.COMMAND and shlex.join(value) == " ".join(value):
            yield f"{name}: {text(' '.join(value))}"
        case ():
            yield f"{name}: []"
        case tuple():
            yield f"{name}:"
            yield from (f"  - {_scalar(one, option.item)}" for one in value)
        case _:
            yield f"{name}: {_scalar(value, option.unit)}"


def _block(name: str, lines: list[str]) -> Iterator[str]:
    yield f"{name}:" if lines else f"{name}: {{}}"
    yield from _indented(lines)


def _comment(line: str) -> str:
    """It ends with its line, whatever is in it."""
    return f"# {line if line.isprintable() else ascii(line)[1:-1]}"


def _indented(lines: Iterator[str] | list[str]) -> Iterator[str]:
    return (f"  {line}" for line in lines)


def _item(key: str, value: Any) -> str:
    """Of a mapping: a variable, or a resource limit."""
    if not isinstance(value, Rlimit):
        return text(value)
    soft, hard = (_rlimit(key, one) for one in (value.soft, value.hard))
    return soft if soft == hard else f"[{soft}, {hard}]"


def _rlimit(name: str, value: int | None) -> str:
    if value is None:
        return "infinity"
    return str(value) if name in _COUNTED else _bytes(value)


def _scalar(value: Any, unit: Unit | None) -> str:
    if value is None:
        return unit.none if unit and unit.none else "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if unit is not None:
        return _WRITERS.get(unit.name, str)(value)
    return text(value) if isinstance(value, str) else _number(value, units.parse_float, {"": 1})


def text(value: str) -> str:
    """As it is where YAML takes it for text, else in double quotes."""
    first, *further = value.split(" ")
    plain = _FIRST.fullmatch(first) and all(_FURTHER.fullmatch(word) for word in further)
    if plain and _is_text(value):
        return value
    quoted: str = yaml.dump(value, default_style='"', width=float("inf"), allow_unicode=True)
    return quoted.rstrip("\n")


def _is_text(plain: str) -> bool:
    """And no number, boolean or null, to a reader of YAML."""
    tag: str = _RESOLVER.resolve(yaml.ScalarNode, plain, (True, False))  # type: ignore[no-untyped-call]
    return tag == _TEXT


def _bytes(value: int) -> str:
    return next(f"{value // size}{suffix}" for suffix, size in _SIZES if value % size == 0 and (value or size == 1))


def _seconds(value: float) -> str:
    if value and value == int(value):
        return next(f"{int(value) // length}{suffix}" for suffix, length in _TIMES if value % length == 0)
    return _number(value, units.parse_seconds, {"ms": 1000, "s": 1} if 0 < value < 1 else {"s": 1, "ms": 1000})


def _cpus(value: float) -> str:
    return _number(value, units.parse_cpus, {"": 1, "%": 100})


def _number(value: float, parse: Callable[[str], float], suffixes: Mapping[str, int]) -> str:
    """In the first unit in which it can be read back; without an exponent. Raises ValueError for too many digits."""
    for suffix, count in suffixes.items():
        digits = f"{Decimal(repr(value)) * count:f}"
        written = (digits.rstrip("0").rstrip(".") if "." in digits else digits) + suffix
        with suppress(ValueError):
            if parse(written) == value:
                return written
    raise ValueError(f"{value!r} has more digits than a configuration can hold; round it")


def _umask(value: int) -> str:
    return f"{value:03o}"


def _stop_step(step: StopStep) -> str:
    return f"{units.format_signal(step.signal)} {_seconds(step.wait)}"


_WRITERS: dict[str, Callable[[Any], str]] = {
    schema.BYTES.name: _bytes,
    schema.CPUS.name: _cpus,
    schema.SECONDS.name: _seconds,
    schema.SIGNAL.name: units.format_signal,
    schema.UMASK.name: _umask,
    schema.STOP_STEP.name: _stop_step,
}
