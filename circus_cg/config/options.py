"""Options given by name at run time, as JSON values or as text -> a changed WatcherSpec. Units as in configuration."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import UNSET, inspect
from msgspec.structs import replace

from circus_cg import units
from circus_cg.config import validate
from circus_cg.config.defaults import spelled
from circus_cg.config.problems import Path, shown
from circus_cg.config.schema import (
    KEYS,
    OPTIONS,
    STOP_STEP,
    UMASK,
    Option,
    Unit,
    expected,
    fields,
    from_text,
    nearest,
    struct_of,
)
from circus_cg.errors import ConfigError
from circus_cg.spec import Rlimit, StopStep, WatcherSpec

CIRCUS_RLIMIT = "rlimit_"  # circus's `rlimit_nofile` is our `rlimits.nofile`


def revised(spec: WatcherSpec, options: Mapping[str, Any]) -> WatcherSpec:
    """`spec` with `options` instead of its own. Raises ConfigError with all that is wrong, by option.

    A key may be dotted: `limits.memory_max`, `env.LANG`, `rlimits.nofile`. It changes that one; a whole mapping
    replaces. None takes the default, and takes one variable or rlimit away.
    """
    reading = _Reading()
    options = {key: value for one in options.items() for key, value in _our_words(*one)}
    changed: WatcherSpec = reading.struct(spec, options, ())
    problems = list(reading.problems)
    for found in validate.alone(changed):
        path = found.path
        if not any(path[: len(judged)] == judged for judged in reading.judged):
            problems.append(f"{'.'.join(map(shown, path)) or 'name'}: {found.text}")
    if problems:
        raise ConfigError(problems)
    return changed


def plain(spec: WatcherSpec) -> dict[str, Any]:
    """All options with their values, defaults too, as JSON has them."""
    return {name: _plain(getattr(spec, name), OPTIONS[WatcherSpec][name].unit) for name in fields(WatcherSpec)}


def chosen(options: Mapping[str, Any], keys: list[str]) -> dict[str, Any]:
    """Those of plain() that `keys` name, dotted ones too. Raises ConfigError."""
    found, unknown = {}, []
    for key in keys:
        value: Any = options
        for part in _split(key):
            value = value[part] if isinstance(value, Mapping) and part in value else UNSET
        if value is UNSET:
            unknown.append(_unknown(WatcherSpec, key, ()))
        else:
            found[key] = value
    if unknown:
        raise ConfigError(unknown)
    return found


class _Reading:
    """Values -> fields. What can't be read is told and left as it was."""

    def __init__(self) -> None:
        self.problems: list[str] = []
        self.judged: set[Path] = set()

    def struct(self, old: Any, given: Mapping[str, Any], path: Path) -> Any:
        cls: type[msgspec.Struct] = type(old)
        known = fields(cls)
        for key, value in sorted(given.items(), key=lambda one: not _is_required(cls, one[0])):
            head, *rest = [key] if key in known else key.split(".", 1) if path else _split(key)
            here = (*path, head)
            if head not in known:
                self._tell((*path, key), _unknown(cls, key, path))
                continue
            field = known[head]
            if rest:
                read = self._part(_held(field.type), getattr(old, head), rest[0], value, here)
            elif value is None and not field.required:
                read = field.default if field.default is not msgspec.NODEFAULT else field.default_factory()
            else:
                read = self._value(field.type, OPTIONS[cls][head], value, here)
            if read is not UNSET:
                old = replace(old, **{head: read})
        return old

    def _part(self, kind: inspect.Type, old: Any, key: str, value: Any, path: Path) -> Any:
        """`key` alone of a struct or mapping."""
        match kind:
            case inspect.StructType(cls=cls) if old is None:
                return self._new(cls, {key: value}, path)
            case inspect.StructType():
                return self.struct(old, {key: value}, path)
            case inspect.DictType(value_type=inner):
                left = {name: one for name, one in old.items() if name != key}
                if value is None:
                    return left
                read = self._value(inner, None, value, (*path, key))
                return read if read is UNSET else {**left, key: read}
            case _:
                self._tell((*path, key), f"{_dotted(path)} has no parts; expected its whole value")
                return UNSET

    def _value(self, kind: inspect.Type, option: Option | None, value: Any, path: Path) -> Any:
        read: Any
        match kind:
            case inspect.UnionType(types=(inner, inspect.NoneType())):
                read = None if value is None else self._value(inner, option, value, path)
            case inspect.StructType(cls=cls) if isinstance(value, cls):
                read = value
            case inspect.StructType(cls=cls) if cls is Rlimit and not isinstance(value, Mapping):
                read = self._rlimit(value, path)
            case inspect.StructType(cls=cls) if isinstance(value, Mapping):
                read = self._new(cls, value, path)
            case inspect.VarTupleType(item_type=inspect.StructType(cls=cls)) if isinstance(value, Mapping):
                read = self._keyed(cls, value, path)
            case inspect.VarTupleType(item_type=inspect.StructType()) if value:
                read = self._wrong(path, "a mapping", value)
            case inspect.VarTupleType(item_type=item) if isinstance(value, list | tuple):
                each = option and option._replace(unit=option.item)
                read = self._all([self._value(item, each, one, path) for one in value])
            case inspect.DictType(value_type=inner) if isinstance(value, Mapping):
                items = {str(key): self._value(inner, None, one, (*path, str(key))) for key, one in value.items()}
                read = UNSET if UNSET in items.values() else items
            case _:
                read = self._scalar(kind, option, value, path)
        return read

    def _new(self, cls: type[msgspec.Struct], value: Mapping[str, Any], path: Path) -> Any:
        """From the defaults."""
        required = [name for name, field in fields(cls).items() if field.required]
        if missing := [name for name in required if value.get(name) is None]:
            if (*path, missing[0]) not in self.judged:  # given by a key of its own, and wrong
                self._tell(path, f"{_dotted((*path, missing[0]))} is missing; give it too")
            return UNSET
        read = self.struct(cls(**dict.fromkeys(required)), value, path)
        # What is left of the stand-ins was wrong, and told: validation is to meet no None where none can be.
        return UNSET if any(getattr(read, name) is None for name in required) else read

    def _keyed(self, cls: type[msgspec.Struct], value: Mapping[str, Any], path: Path) -> Any:
        items = []
        for key, one in value.items():
            if isinstance(one, Mapping):
                items.append(self.struct(cls(**{KEYS[cls]: key}), one, (*path, key)))
            else:
                items.append(self._wrong((*path, key), "a mapping", one))
        return self._all(items)

    def _all(self, read: list[Any]) -> Any:
        return UNSET if UNSET in read else tuple(read)

    def _rlimit(self, value: Any, path: Path) -> Any:
        """One value for both, or [soft, hard]."""
        both = value if isinstance(value, list | tuple) else [value, value]
        if len(both) != 2:
            return self._wrong(path, "one value or [soft, hard]", value)
        kind, option = fields(Rlimit)["soft"].type, OPTIONS[Rlimit]["soft"]
        soft, hard = (None if one == "" else self._value(kind, option, one, path) for one in both)
        return UNSET if UNSET in (soft, hard) else Rlimit(soft=soft, hard=hard)

    def _scalar(self, kind: inspect.Type, option: Option | None, value: Any, path: Path) -> Any:
        unit = option.unit if option else None
        if isinstance(kind, inspect.StructType | inspect.DictType):
            return self._wrong(path, "a mapping", value)
        if value is None or isinstance(value, Mapping | list | tuple):
            return self._wrong(path, expected(kind, unit), value)
        if isinstance(value, bool) and not isinstance(kind, inspect.BoolType):
            return self._wrong(path, expected(kind, unit), value)
        if unit == UMASK and isinstance(value, int | float):  # its decimal digits are no mask
            return value if isinstance(value, int) else self._wrong(path, expected(kind, unit), value)
        try:
            return from_text(kind, unit, _text(value))
        except ValueError as wrong:
            self._tell(path, f"{_dotted(path)}: {wrong}")
            return UNSET

    def _wrong(self, path: Path, wanted: str, value: Any) -> Any:
        """The value itself stays unsaid: it may be a secret."""
        self._tell(path, f"{_dotted(path)}: expected {wanted}, found {_KINDS.get(type(value), 'something else')}")
        return UNSET

    def _tell(self, path: Path, text: str) -> None:
        self.problems.append(text)
        self.judged.add(path)


_KINDS: dict[type, str] = {
    dict: "a mapping", list: "a list", tuple: "a list", bool: "a boolean", type(None): "null", str: "text",
    int: "a number", float: "a number",
}  # fmt: skip


def _is_required(cls: type[msgspec.Struct], key: str) -> bool:
    """A part without which there is no whole, so that it is read before the others."""
    head, _, tail = key.partition(".")
    field = fields(cls).get(head)
    inner = None if field is None else struct_of(field.type)
    return inner is not None and tail in fields(inner) and fields(inner)[tail].required


def _held(kind: inspect.Type) -> inspect.Type:
    """What an option holds that may hold none."""
    match kind:
        case inspect.UnionType(types=(inner, inspect.NoneType())):
            return inner
        case _:
            return kind


def _our_words(key: str, value: Any) -> list[tuple[str, Any]]:
    """circus's `respawn` is our `restart`."""
    if key != "respawn":
        return [(key, value)]
    try:
        respawn = value if value is None else units.parse_bool(_text(value))
    except ValueError:
        return [(key, value)]
    return [("restart", None if respawn is None else "always" if respawn else "never")]


def _split(key: str) -> list[str]:
    """`limits.memory_max` -> both parts; circus's `rlimit_nofile` -> ours."""
    if key.startswith(CIRCUS_RLIMIT):
        return ["rlimits", key.removeprefix(CIRCUS_RLIMIT)]
    return key.split(".", 1)


def _unknown(cls: type[msgspec.Struct], key: str, path: Path) -> str:
    guess = nearest(cls, key)
    text = f"unknown option '{shown('.'.join((*path, key)))}'"
    return text + (f"; did you mean '{'.'.join((*path, guess))}'?" if guess else "; `options` lists them")


def _dotted(path: Path) -> str:
    return ".".join(map(shown, path))


def _text(value: Any) -> str:
    """As one would write it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value:.9f}".rstrip("0").removesuffix(".") if isinstance(value, float) else str(value)


def _plain(value: Any, unit: Unit | None = None) -> Any:  # noqa: PLR0911 - one a kind of value
    match value:
        case int() if unit == UMASK:
            return spelled(value, UMASK)  # as a number it would be decimal, which nobody knows a mask by
        case Rlimit():
            return [value.soft, value.hard]
        case StopStep():
            return spelled(value, STOP_STEP)  # as it is written
        case msgspec.Struct():
            return {field: _plain(getattr(value, field)) for field in value.__struct_fields__}
        case tuple() if value and isinstance(value[0], msgspec.Struct):
            key = KEYS[type(value[0])]
            return {getattr(one, key): {k: v for k, v in _plain(one).items() if k != key} for one in value}
        case tuple():
            return [_plain(one) for one in value]
        case dict():
            return {key: _plain(one) for key, one in value.items()}
        case _:
            return value
