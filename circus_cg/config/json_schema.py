"""The option table as a JSON Schema (draft 2020-12), for editors.

It takes every configuration that the readers take, as YAML 1.2 has its scalars. What it can't say (which options must
fit together, the range of what is written with a unit) only the readers refuse.
"""

from __future__ import annotations

import signal
from typing import Any

import msgspec
from msgspec import inspect

from circus_cg.config.defaults import default_of, spelled
from circus_cg.config.document import Document, Part
from circus_cg.config.schema import (
    BYTES,
    CAPABILITIES,
    COMMAND,
    COUNT,
    CPUS,
    NAMES,
    OPTIONS,
    PATHS,
    RLIMIT,
    RLIMITS,
    SECONDS,
    SIGNAL,
    SIZE,
    STATUSES,
    STOP_STEP,
    STOPS,
    UMASK,
    Option,
    Unit,
    fields,
)
from circus_cg.spec import ArbiterSpec, Rlimit

Schema = dict[str, Any]

_ITEM: Schema = {"type": ["string", "number", "boolean", "null"]}  # text as written, whatever YAML sees in it
_NOTHING: Schema = {"type": "null"}


def _any_case(*words: str) -> str:
    """ECMA's regular expressions have no flag that could stand within them."""
    return "|".join("".join(f"[{c.upper()}{c.lower()}]" if c.isalpha() else c for c in word) for word in words)


_NUMBER = r"(?:[0-9]{1,19}(?:\.[0-9]{0,9})?|\.[0-9]{1,9})"
_SIZE = _NUMBER + r" ?(?:[KkMmGgTt](?:[Ii]?[Bb]?)|[Bb])?"
_SIGNALS = _any_case(*(known.name.removeprefix("SIG") for known in signal.Signals))
_BOOLEANS = _any_case("true", "yes", "on", "false", "no", "off")

PATTERNS: dict[Unit, str] = {
    BYTES: f"max|{_SIZE}",
    SIZE: _SIZE,
    CPUS: f"max|{_NUMBER} ?%?",
    COUNT: r"max|[-+]?(?:0|[1-9][0-9]{0,18})",
    SECONDS: f"{_NUMBER}|(?:{_NUMBER} ?(?:ms|s|m|h|d) ?)+",
    SIGNAL: rf"(?:{_any_case('sig')})?(?:{_SIGNALS}|(?:{_any_case('rtmin', 'rtmax')})[-+][0-9]{{1,2}}|\+?[0-9]{{1,2}})",
    UMASK: "(?:0o)?[0-7]{1,4}",
    RLIMIT: f"infinity|unlimited|-1|{_SIZE}",
}
PATTERNS[STOP_STEP] = rf" *(?:{PATTERNS[SIGNAL]}) +(?:{PATTERNS[SECONDS]}) *"
_WHOLE = frozenset({BYTES, SIZE, COUNT, SIGNAL, UMASK, RLIMIT})
_BOUNDS: dict[Unit, Schema] = {UMASK: {"minimum": 0, "maximum": 777}, RLIMIT: {"minimum": -1}}  # 022 is read as decimal


def document() -> Schema:
    """The schema of a configuration file, and of an included one."""
    parts = [struct for struct in OPTIONS if struct not in (ArbiterSpec, Document, Part, Rlimit)]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "circus-cg configuration",
        **_mapping_of(Document),
        "type": "object",
        "patternProperties": {"^x-": {"description": "yours: a place for anchors"}},
        "$defs": {**{struct.__name__: _mapping_of(struct) for struct in parts}, Rlimit.__name__: _rlimit()},
    }


def _mapping_of(struct: type[msgspec.Struct]) -> Schema:
    known = fields(struct)
    required = [key for key, field in known.items() if field.required]
    made: Schema = {
        "type": "object" if required else ["object", "null"],
        "properties": {key: _property(struct, key) for key in known},
        "additionalProperties": False,
    }
    return made | ({"required": required} if required else {})


def _property(struct: type[msgspec.Struct], key: str) -> Schema:
    option, default = OPTIONS[struct][key], default_of(struct, key)
    made: Schema = {"description": option.description, **_value(fields(struct)[key].type, option)}
    if isinstance(default, bool | int | float | str):
        made["default"] = spelled(default, option.unit)
    elif default is None and option.absent:
        made["description"] += f"; without it, {option.absent}"
    return made


def _value(kind: inspect.Type, option: Option) -> Schema:
    """What may stand as the option's value."""
    made: Schema
    match kind:
        case inspect.UnionType(types=(inner, inspect.NoneType())):
            made = {"anyOf": [_value(inner, option), _NOTHING]}
        case inspect.UnionType(includes_none=True):  # a name or a number
            made = {"type": ["string", "integer", "null"], **_bounds(option)}
        case inspect.StructType(cls=cls):
            made = _reference(cls)
        case inspect.VarTupleType(item_type=inspect.StructType(cls=cls)):
            made = {"type": ["object", "null"], "additionalProperties": _reference(cls)}
        case inspect.DictType(value_type=inspect.StructType(cls=cls)):
            limits = {name: _reference(cls) for name in RLIMITS}
            made = {"type": ["object", "null"], "properties": limits, "additionalProperties": False}
        case inspect.DictType():
            names = {"pattern": "^[^=]+$"}
            made = {"type": ["object", "null"], "additionalProperties": _ITEM, "propertyNames": names}
        case inspect.VarTupleType():
            made = {"type": "array", "items": _ITEM if option.item is None else _written(option.item)}
            if option.unit == STOPS:
                made = {"anyOf": [{"type": "string"}, made]}
            elif option.unit in (PATHS, CAPABILITIES, NAMES, STATUSES):
                made = {"anyOf": [{"type": ["string", "number"]}, made]}
            elif option.unit == COMMAND:
                made = {"anyOf": [{"type": ["string", "number"], "minLength": 1}, made | {"minItems": 1}]}
        case _:
            made = _scalar(kind, option)
    return made


def _scalar(kind: inspect.Type, option: Option) -> Schema:
    made: Schema
    match kind:
        case _ if option.unit is not None:
            made = _measured(option.unit, _bounds(option))
        case inspect.BoolType():
            made = {"anyOf": [{"type": "boolean"}, {"type": "string", "pattern": f"^(?:{_BOOLEANS})$"}]}
        case inspect.IntType():
            made = {"type": "integer", **_bounds(option)}
        case inspect.FloatType():
            made = {"type": "number", **_bounds(option)}
        case _ if option.choices:
            made = {"enum": list(option.choices)}
        case _ if option.words:
            made = {"type": ["string", "number", "null"], "examples": list(option.words)}
        case _:
            made = {"type": ["string", "number"]}
    return made


def _written(unit: Unit) -> Schema:
    return {"type": "string", "pattern": f"^(?:{PATTERNS[unit]})$"}


def _measured(unit: Unit, bounds: Schema) -> Schema:
    number = {"type": "integer" if unit in _WHOLE else "number", **_BOUNDS.get(unit, bounds)}
    return {"anyOf": [number, _written(unit)]}


def _rlimit() -> Schema:
    one = _measured(RLIMIT, {})
    both = {"type": "array", "items": one, "minItems": 2, "maxItems": 2}
    return {"anyOf": [one, both, {**_mapping_of(Rlimit), "type": "object"}]}


def _bounds(option: Option) -> Schema:
    bounds = {"minimum": option.least, "maximum": option.most}
    return {word: bound for word, bound in bounds.items() if bound is not None}


def _reference(struct: type[msgspec.Struct]) -> Schema:
    return {"$ref": f"#/$defs/{struct.__name__}"}
