"""YAML text -> nodes with lines, within bounds: no depth, alias or size of a text makes its reader slow or sick."""

from __future__ import annotations

import re

import yaml

from circus_cg.config.problems import Path, Problems, shown, where

MAX_NODES = 250_000  # in one text; those reached through aliases count each time
MAX_MERGES = 20  # merges within merges

_TAG = "tag:yaml.org,2002:"
NULL, BOOL, _MERGE, _MAP, _SEQ = (_TAG + name for name in ("null", "bool", "merge", "map", "seq"))
SCALARS = frozenset(_TAG + name for name in ("str", "int", "float", "bool", "null", "timestamp", "value", "merge"))
_KNOWN = SCALARS | {_MAP, _SEQ}
_FORBIDDEN = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]")

Entries = dict[str, tuple[yaml.Node, yaml.Node]]


class TooLarge(Exception):
    """More nodes than MAX_NODES."""


def compose(text: str, problems: Problems) -> yaml.Node | None:
    """The root node; None if the text is empty or no YAML, which `problems` then tells. Raises TooLarge."""
    if bad := _FORBIDDEN.search(text):
        line = text.count("\n", 0, bad.start()) + 1
        problems.add((), f"the character U+{ord(bad[0]):04X} is not allowed; remove it", line)
        return None
    try:
        if len(text) > MAX_NODES:  # else it can't have more nodes
            _count(text)
        root: yaml.Node | None = yaml.compose(text, Loader=yaml.CSafeLoader)
    except yaml.MarkedYAMLError as wrong:
        mark = wrong.problem_mark or wrong.context_mark
        said = shown(", ".join(part for part in (wrong.context, wrong.problem) if part), 200)
        line = mark.line if mark else 0
        written = text.splitlines()[line : line + 1]
        tab = any(row[: len(row) - len(row.lstrip())].count("\t") for row in written)
        problems.add((), f"no YAML: {said}; {'indent with blanks, not with tabs' if tab else 'correct it'}", line + 1)
        return None
    except yaml.YAMLError as wrong:
        problems.add((), f"no YAML: {shown(str(wrong), 200)}; correct it", 1)
        return None
    return root


def line_of(node: yaml.Node) -> int:
    line: int = node.start_mark.line
    return line + 1


def mark_of(node: yaml.Node) -> tuple[int, int]:
    """Line and column."""
    return line_of(node), node.start_mark.column + 1


def kind_of(node: yaml.Node) -> str:
    """For messages."""
    if node.tag not in _KNOWN:
        return f"the tag '{shown(node.tag)}'"
    if isinstance(node, yaml.CollectionNode):
        return "a mapping" if isinstance(node, yaml.MappingNode) else "a list"
    assert isinstance(node, yaml.ScalarNode)
    return "nothing" if node.tag == NULL and not node.value else f"the text '{shown(node.value)}'"


class Budget:
    """Reads mappings and lists, and counts what is read. What is wrong goes to `problems`."""

    def __init__(self, problems: Problems) -> None:
        self._problems = problems
        self._left = MAX_NODES

    def items(self, node: yaml.SequenceNode) -> list[yaml.Node]:
        self.spend(len(node.value))
        return list(node.value)

    def entries(self, node: yaml.Node, path: Path, depth: int = 0) -> Entries:
        """A mapping's keys as written, merges (`<<`) included; nothing at all is an empty one."""
        if isinstance(node, yaml.ScalarNode) and node.tag == NULL:
            return {}
        if not isinstance(node, yaml.MappingNode) or node.tag != _MAP:
            self._problems.add(path, f"expected a mapping {where(path)}, found {kind_of(node)}", *mark_of(node))
            return {}
        self.spend(len(node.value))
        found: Entries = {}
        merges: list[yaml.Node] = []
        for key, value in node.value:
            if key.tag == _MERGE:
                merges += value.value if isinstance(value, yaml.SequenceNode) else [value]
            elif not isinstance(key, yaml.ScalarNode):
                self._problems.add(path, f"expected text as a key {where(path)}, found {kind_of(key)}", *mark_of(key))
            elif key.value in found:
                first = line_of(found[key.value][0])
                text = f"duplicate key '{shown(key.value)}' {where(path)}; line {first} has it already"
                self._problems.add((*path, key.value), text, *mark_of(key))
            else:
                found[key.value] = (key, value)
        if depth == MAX_MERGES:
            self._problems.add(path, f"over {MAX_MERGES} merges within each other {where(path)}", *mark_of(node))
            return found
        self.spend(len(merges))
        for source in merges:
            for name, entry in self.entries(source, path, depth + 1).items():
                found.setdefault(name, entry)
        return found

    def spend(self, nodes: int) -> None:
        """Raises TooLarge."""
        self._left -= nodes
        if self._left < 0:
            raise TooLarge


def _count(text: str) -> None:
    for count, _event in enumerate(yaml.parse(text, Loader=yaml.CSafeLoader)):
        if count > MAX_NODES:
            raise TooLarge
