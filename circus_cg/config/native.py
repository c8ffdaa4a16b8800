"""Our YAML -> ArbiterSpec. The specs' own types say what may stand where; all problems are told at once, with lines."""

from __future__ import annotations

from typing import Any

import msgspec
import yaml
from msgspec import UNSET, inspect

from circus_cg.config import validate
from circus_cg.config.nodes import BOOL, MAX_NODES, NULL, SCALARS, Budget, TooLarge, compose, kind_of, line_of
from circus_cg.config.problems import Path, Problems, shown, title, where
from circus_cg.config.schema import KEYS, OPTIONS, Option, expected, fields, from_text, nearest
from circus_cg.errors import ConfigError
from circus_cg.spec import ArbiterSpec, Rlimit

EXTENSION = "x-"  # a top-level key beginning so is the operator's own: a place for anchors


def read(text: str, file: str) -> ArbiterSpec:
    """The validated configuration written in `text`; `file` is its name in messages. Raises ConfigError."""
    problems = Problems(file)
    try:
        root = compose(text, problems)
        problems.raise_any()
        if root is None:
            raise ConfigError([f"{file}:1: the file is empty; expected a mapping with `watchers`"])
        spec: ArbiterSpec = _Reader(problems).struct(ArbiterSpec, root, ())
    except (TooLarge, RecursionError):
        raise ConfigError([f"{file}: too large or too deep; expected at most {MAX_NODES} values"]) from None
    for found in validate.problems(spec):
        if not problems.judged(found.path):
            problems.add(found.path, f"{title(found.path)}: {found.text}")
    problems.raise_any()
    return spec


class _Reader:
    """Nodes -> values by the fields' types. What can't be read is told and left out: reading goes on."""

    def __init__(self, problems: Problems) -> None:
        self._problems = problems
        self._budget = Budget(problems)

    def struct(self, cls: type[msgspec.Struct], node: yaml.Node, path: Path, **values: Any) -> Any:
        known = fields(cls)
        for key, (key_node, value_node) in self._budget.entries(node, path).items():
            here = (*path, key)
            if key in known:
                self._problems.place(here, line_of(key_node))
                value = self._value(value_node, known[key].type, OPTIONS[cls][key], here)
                if value is not UNSET:
                    values[key] = value
            elif path or not key.startswith(EXTENSION):
                guess = nearest(cls, key)
                text = f"unknown key '{shown(key)}' {where(path)}"
                self._problems.add(here, text + (f"; did you mean '{guess}'?" if guess else ""), line_of(key_node))
        for key, field in known.items():
            if field.required and key not in values:
                values[key] = ()  # a stand-in, so that the rest is judged as well
                if not self._problems.judged((*path, key)):
                    self._problems.add((*path, key), f"missing key '{key}' {where(path)}")
        return cls(**values)

    def _value(self, node: yaml.Node, kind: inspect.Type, option: Option | None, path: Path) -> Any:
        """The value, or UNSET if there is none to be had. `option` is None for the items of a list or mapping."""
        read: Any
        match kind:
            case inspect.UnionType(includes_none=True) if isinstance(node, yaml.ScalarNode) and node.tag == NULL:
                read = None
            case inspect.UnionType(types=(inner, inspect.NoneType())):
                read = self._value(node, inner, option, path)
            case inspect.StructType(cls=cls) if cls is Rlimit and not isinstance(node, yaml.MappingNode):
                read = self._rlimit(node, path)
            case inspect.StructType(cls=cls):
                read = self.struct(cls, node, path)
            case inspect.VarTupleType(item_type=inspect.StructType(cls=cls)):
                read = tuple(self._keyed(cls, node, path))
            case inspect.VarTupleType(item_type=item) if isinstance(node, yaml.SequenceNode):
                items = [self._value(one, item, None, path) for one in self._budget.items(node)]
                read = tuple(value for value in items if value is not UNSET)
            case inspect.DictType(value_type=inner):
                read = self._mapping(node, inner, path)
            case _:
                read = self._scalar(node, kind, option, path)
        return read

    def _keyed(self, cls: type[msgspec.Struct], node: yaml.Node, path: Path) -> list[Any]:
        read = []
        for key, (key_node, value) in self._budget.entries(node, path).items():
            here = (*path, key)
            self._problems.place(here, line_of(key_node))
            read.append(self.struct(cls, value, here, **{KEYS[cls]: key}))
        return read

    def _mapping(self, node: yaml.Node, kind: inspect.Type, path: Path) -> dict[str, Any]:
        read = {}
        for key, (key_node, value) in self._budget.entries(node, path).items():
            self._problems.place((*path, key), line_of(key_node))
            read[key] = self._value(value, kind, None, (*path, key))
        return {key: value for key, value in read.items() if value is not UNSET}

    def _rlimit(self, node: yaml.Node, path: Path) -> Any:
        """One value for both, or `[soft, hard]`."""
        both = self._budget.items(node) if isinstance(node, yaml.SequenceNode) else [node, node]
        if len(both) != 2:
            return self._wrong(node, path, f"expected one value or [soft, hard], found {len(both)} values")
        kind, option = fields(Rlimit)["soft"].type, OPTIONS[Rlimit]["soft"]
        soft, hard = (self._value(one, kind, option, path) for one in both)
        return UNSET if UNSET in (soft, hard) else Rlimit(soft=soft, hard=hard)

    def _scalar(self, node: yaml.Node, kind: inspect.Type, option: Option | None, path: Path) -> Any:
        unit = option.unit if option else None
        wanted = expected(kind, unit)
        if not isinstance(node, yaml.ScalarNode) or node.tag not in SCALARS or (node.tag == NULL and not node.value):
            return self._wrong(node, path, f"expected {wanted}, found {kind_of(node)}")
        is_text = isinstance(kind, inspect.StrType | inspect.UnionType)
        if unit is None and is_text and option and node.tag == BOOL:  # an item, as in `env`, is text as written
            return self._wrong(node, path, f"expected {wanted}, found the boolean {node.value}; quote it")
        if unit is None and not is_text and node.style:  # quoted, or a block
            return self._wrong(node, path, f"expected {wanted}, found {kind_of(node)} in quotes; remove them")
        try:
            return from_text(kind, unit, node.value)
        except ValueError as wrong:
            return self._wrong(node, path, str(wrong))

    def _wrong(self, node: yaml.Node, path: Path, text: str) -> Any:
        self._problems.add(path, f"{title(path)}: {text}", line_of(node))
        return UNSET
