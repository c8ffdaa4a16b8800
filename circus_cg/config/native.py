"""Our YAML -> ArbiterSpec. The specs' own types say what may stand where; all problems are told at once, with lines.

Pure: the files an `include` leads to and the environment come from the caller.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
import yaml
from msgspec import UNSET, inspect

from circus_cg.config import validate
from circus_cg.config.document import Document, Find, Found, Part
from circus_cg.config.findings import Kind, Notice
from circus_cg.config.nodes import BOOL, MAX_NODES, NULL, SCALARS, Budget, TooLarge, compose, kind_of, mark_of
from circus_cg.config.problems import MAX_PATH, Path, Problems, shown, title, where
from circus_cg.config.schema import COMMAND, KEYS, OPTIONS, Option, expected, fields, from_text, nearest
from circus_cg.config.substitution import WID, references, size, substitute
from circus_cg.errors import ConfigError
from circus_cg.spec import ArbiterSpec, Rlimit, WatcherSpec

MAX_EXPANDED = 16 << 20  # characters of all texts that have variables in them, when these are replaced
PATHS = ("env_file", "working_dir", "virtualenv", "stdout", "stderr")  # which expand, but are all workers' own
EXTENSION = "x-"  # a top-level key beginning so is the operator's own: a place for anchors


def no_files(_pattern: str) -> Found:
    return Found(problems=("there are no files to include here",))


def read(text: str, file: str, environment: Mapping[str, str] | None = None, find: Find = no_files) -> ArbiterSpec:
    """The validated configuration written in `text`; `file` is its name in messages. Raises ConfigError.

    `$(circus.env.NAME)` means NAME of `environment`; `find` reads the files of `include`.
    """
    return read_with_notices(text, file, environment, find)[0]


def read_with_notices(
    text: str, file: str, environment: Mapping[str, str] | None = None, find: Find = no_files
) -> tuple[ArbiterSpec, tuple[Notice, ...]]:
    """As read(), and what is to be said about it all the same."""
    problems = Problems(file)
    try:
        root = compose(text, problems)
        problems.raise_any()
        if root is None:
            raise ConfigError([f"{file}:1: the file is empty; expected a mapping with `watchers`"])
        reader = _Reader(problems, environment or {})
        document: Document = reader.struct(Document, root, ())
        watchers = _all_watchers(document, reader, problems, find)
        reader.budget.spend(len(watchers) * len(document.env))
        spec = document.spec(watchers)
    except (TooLarge, RecursionError):
        raise ConfigError([f"{problems.file}: too large or too deep; expected at most {MAX_NODES} values"]) from None
    for watcher in spec.watchers:
        for name in document.env:
            problems.place_as(("watchers", watcher.name, "env", name), ("env", name))
    for found in validate.problems(spec):
        if not problems.judged(found.path):
            problems.add(found.path, f"{title(found.path)}: {found.text}")
    problems.raise_any()
    return spec, tuple(sorted(set(_left_as_written(spec, problems)), key=lambda one: (one.place, one.text)))


def _left_as_written(spec: ArbiterSpec, problems: Problems) -> Iterator[Notice]:
    """References in paths that lead to files so named; a template's are told once."""
    for watcher in spec.watchers:
        for key in PATHS:
            value = getattr(watcher, key) or ()
            named = references(" ".join((value,) if isinstance(value, str) else value))
            for name, written in named.items():
                means = "it is the worker's number in cmd, env and health alone" if name == WID else "it names nothing"
                said = f"{key}: {shown(written)} stays as written: {means}"
                file, line = problems.at(("watchers", watcher.name, key))
                yield Notice(kind=Kind.NOTE, file=file, line=line, text=said)


def _all_watchers(document: Document, reader: _Reader, problems: Problems, find: Find) -> tuple[WatcherSpec, ...]:
    """The document's own and those of its included files, which are not asked for further files."""
    watchers = {watcher.name: watcher for watcher in document.watchers}
    for index, pattern in enumerate(document.include):
        found = find(pattern)
        for text in found.problems:
            problems.add(("include", str(index)), f"include '{shown(pattern)}': {shown(text, MAX_PATH)}")
        for included in found.texts:
            problems.open(included.file)
            root = compose(included.text, problems)
            part: Part = reader.struct(Part, root, ()) if root else Part()
            watchers |= {watcher.name: watcher for watcher in part.watchers}
    return tuple(watchers.values())


class _Reader:
    """Nodes -> values by the fields' types. What can't be read is told and left out: reading goes on."""

    def __init__(self, problems: Problems, environment: Mapping[str, str]) -> None:
        self._problems = problems
        self._environment = {**{name.lower(): value for name, value in environment.items()}, **environment}
        self._room = MAX_EXPANDED
        self.budget = Budget(problems)

    def struct(self, cls: type[msgspec.Struct], node: yaml.Node, path: Path, **values: Any) -> Any:
        """UNSET where something required is missing; but a watcher is judged all the same."""
        known = fields(cls)
        for key, (key_node, value_node) in self.budget.entries(node, path).items():
            here = (*path, key)
            if key in known:
                self._problems.place(here, *mark_of(key_node))
                value = self._value(value_node, known[key].type, OPTIONS[cls][key], here)
                if value is not UNSET:
                    values[key] = value
            elif cls is Part and not path and key in fields(Document):
                text = f"'{key}' can't stand in an included file; write it in the file that includes this one"
                self._problems.add(here, text, *mark_of(key_node))
            elif path or not key.startswith(EXTENSION):
                guess = nearest(cls, key)
                text = f"unknown key '{shown(key)}' {where(path)}"
                self._problems.add(here, text + (f"; did you mean '{guess}'?" if guess else ""), *mark_of(key_node))
        for key, field in known.items():
            if field.required and key not in values:
                values[key] = ()  # a stand-in, so that the rest is judged as well
                if not self._problems.judged((*path, key)):
                    self._problems.add((*path, key), f"missing key '{key}' {where(path)}")
                if cls is not WatcherSpec:
                    return UNSET
        return cls(**values)

    def _value(self, node: yaml.Node, kind: inspect.Type, option: Option, path: Path, item: bool = False) -> Any:
        """The value, or UNSET if there is none to be had. `item`: one of those in the option's list or mapping."""
        read: Any
        match kind:
            case inspect.UnionType(includes_none=True) if isinstance(node, yaml.ScalarNode) and node.tag == NULL:
                read = None
            case inspect.UnionType(types=(inner, inspect.NoneType())):
                read = self._value(node, inner, option, path, item)
            case inspect.StructType(cls=cls) if cls is Rlimit and not isinstance(node, yaml.MappingNode):
                read = self._rlimit(node, path)
            case inspect.StructType(cls=cls):
                read = self.struct(cls, node, path)
            case inspect.VarTupleType(item_type=inspect.StructType(cls=cls)):
                read = tuple(self._keyed(cls, node, path))
            case inspect.VarTupleType(item_type=item_type) if isinstance(node, yaml.SequenceNode):
                read = tuple(self._items(node, item_type, option, path))
            case inspect.DictType(value_type=inner):
                read = self._mapping(node, inner, option, path)
            case _:
                read = self._scalar(node, kind, option, path, item)
        return read

    def _keyed(self, cls: type[msgspec.Struct], node: yaml.Node, path: Path) -> list[Any]:
        read = []
        for key, (key_node, value) in self.budget.entries(node, path).items():
            here = (*path, key)
            if self._problems.placed(here):  # by an earlier file: a mapping has each of its keys once
                text = f"duplicate {title(here)}; {self._problems.spot(here)} has it already"
                self._problems.add(here, text, *mark_of(key_node))
                continue
            self._problems.place(here, *mark_of(key_node))
            read.append(self.struct(cls, value, here, **{KEYS[cls]: key}))
        return read

    def _items(self, node: yaml.SequenceNode, kind: inspect.Type, option: Option, path: Path) -> list[Any]:
        read: list[Any] = []
        for one in self.budget.items(node):
            value = self._value(one, kind, option, path, item=True)
            if value is not UNSET:
                self._problems.place((*path, str(len(read))), *mark_of(one))
                read.append(value)
        return read

    def _mapping(self, node: yaml.Node, kind: inspect.Type, option: Option, path: Path) -> dict[str, Any]:
        read = {}
        for key, (key_node, value) in self.budget.entries(node, path).items():
            self._problems.place((*path, key), *mark_of(key_node))
            read[key] = self._value(value, kind, option, (*path, key), item=True)
        return {key: value for key, value in read.items() if value is not UNSET}

    def _rlimit(self, node: yaml.Node, path: Path) -> Any:
        """One value for both, or `[soft, hard]`."""
        both = self.budget.items(node) if isinstance(node, yaml.SequenceNode) else [node, node]
        if len(both) != 2:
            return self._wrong(node, path, f"expected one value or [soft, hard], found {len(both)} values")
        kind, option = fields(Rlimit)["soft"].type, OPTIONS[Rlimit]["soft"]
        soft, hard = (self._value(one, kind, option, path) for one in both)
        return UNSET if UNSET in (soft, hard) else Rlimit(soft=soft, hard=hard)

    def _scalar(self, node: yaml.Node, kind: inspect.Type, option: Option, path: Path, item: bool) -> Any:
        unit = option.item if item else option.unit
        wanted = expected(kind, unit)
        if not isinstance(node, yaml.ScalarNode) or node.tag not in SCALARS or (node.tag == NULL and not node.value):
            return self._wrong(node, path, f"expected {wanted}, found {kind_of(node)}")
        is_text = unit is COMMAND or (unit is None and isinstance(kind, inspect.StrType | inspect.UnionType))
        if is_text and not item and node.value not in option.words:  # an item, as in `env`, is text as written
            if node.tag == BOOL:
                return self._wrong(node, path, f"expected {wanted}, found the boolean {node.value}; quote it")
            if node.tag == NULL:
                return self._wrong(node, path, f"expected {wanted}, found {node.value}; quote it")
        if unit is None and not is_text and node.style:  # quoted, or a block
            return self._wrong(node, path, f"expected {wanted}, found {kind_of(node)} in quotes; remove them")
        try:
            value = from_text(kind, unit, node.value)
            return self._expanded(value) if option.expands else value
        except ValueError as wrong:
            return self._wrong(node, path, str(wrong))

    def _expanded(self, value: Any) -> Any:
        """A text, or a command's words, with the environment's values. Raises ValueError."""
        if isinstance(value, tuple):
            return tuple(map(self._expanded, value))
        values = {}
        for key, written in references(value).items():
            if key.startswith("env."):
                name = written.strip("$()")[len("circus.env.") :]
                found = self._environment.get(name, self._environment.get(name.lower()))
                if found is None:
                    raise ValueError(f"the environment has no {shown(name)}; set it where the daemon is started")
                values[key] = found
        if values:
            self._room -= size(value, values)
            if self._room < 0:
                raise ValueError(f"with its variables the configuration is over {MAX_EXPANDED} characters; use less")
        return substitute(value, values)

    def _wrong(self, node: yaml.Node, path: Path, text: str) -> Any:
        self._problems.add(path, f"{title(path)}: {text}", *mark_of(node))
        return UNSET
