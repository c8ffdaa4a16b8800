"""Small changes to the decision core, one at a time: mutmut makes them, and a running interpreter takes them in.

A function keeps its identity and gets another code object, so whoever imported it calls the changed one, and nothing
has to be copied, imported again or wrapped. Only bodies of functions and their defaults change: what runs at import
(constants, tables, fields' defaults) and decorated functions stay.
"""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import FunctionType
from typing import NamedTuple

import libcst as cst
from libcst.metadata import CodeRange, MetadataWrapper, PositionProvider
from mutmut.mutation.file_mutation import create_mutations

ROOT = Path(__file__).parents[2]
CORE = ROOT / "circus_cg" / "core"


class Change(NamedTuple):
    """A mutant as people read it, and as it is known from one version of the code to the next."""

    module: str
    function: str
    line: str
    becomes: str  # "": the line is gone


@dataclass(frozen=True, eq=False)
class Mutant:
    module: str  # without the package's name
    owner: str | None  # the class, of a method
    source: cst.Module
    function: cst.FunctionDef
    old: cst.CSTNode
    new: cst.CSTNode
    lines: range  # of what is changed, in the module's file
    body: range  # of the function, there

    @property
    def name(self) -> str:
        return f"{self.owner}.{self.function.name.value}" if self.owner else self.function.name.value

    @property
    def file(self) -> Path:
        return CORE / f"{self.module}.py"

    def change(self) -> Change:
        before, after = (self._text(function).splitlines() for function in (self.function, self._changed()))
        lines = list(difflib.ndiff(before, after))
        gone = " ".join(line[2:].strip() for line in lines if line.startswith("- "))
        come = " ".join(line[2:].strip() for line in lines if line.startswith("+ "))
        return Change(self.module, self.name, gone, come)

    def apply(self) -> None:
        """In this process, for good. Raises SyntaxError and ValueError where Python will not have it."""
        module = importlib.import_module(f"circus_cg.core.{self.module}")
        target = (
            vars(module)[self.function.name.value]
            if self.owner is None
            else vars(vars(module)[self.owner])[self.function.name.value]
        )
        target = target.__func__ if isinstance(target, staticmethod | classmethod) else target
        assert isinstance(target, FunctionType)
        text = self._text(self._changed().with_changes(decorators=[]))
        compiled = compile(text, str(self.file), "exec", annotations.compiler_flag, dont_inherit=True)
        made: dict[str, FunctionType] = {}
        exec(compiled, dict(vars(module)), made)
        changed = made[self.function.name.value]
        target.__code__, target.__defaults__ = changed.__code__, changed.__defaults__
        target.__kwdefaults__ = changed.__kwdefaults__

    def _changed(self) -> cst.FunctionDef:
        changed = self.function.deep_replace(self.old, self.new)
        assert isinstance(changed, cst.FunctionDef)
        return changed

    def _text(self, function: cst.FunctionDef) -> str:
        return self.source.code_for_node(function)


def modules() -> list[str]:
    return sorted(file.stem for file in CORE.glob("*.py") if file.stem != "__init__")


def mutants_of(module: str) -> Iterator[Mutant]:
    file = CORE / f"{module}.py"
    source, mutations, _, _ = create_mutations(str(file), file.read_text())
    places = MetadataWrapper(source, unsafe_skip_copy=True).resolve(PositionProvider)
    owners = {
        id(method): part.name.value
        for part in source.body
        if isinstance(part, cst.ClassDef)
        for method in part.body.body
        if isinstance(method, cst.FunctionDef)
    }
    for mutation in mutations:
        function = mutation.contained_by_top_level_function
        if isinstance(function, cst.FunctionDef):
            body = _lines(places[function])
            lines = _lines(places[mutation.original_node]) if mutation.original_node in places else body
            owner = owners.get(id(function))
            yield Mutant(module, owner, source, function, mutation.original_node, mutation.mutated_node, lines, body)


def _lines(place: CodeRange) -> range:
    return range(place.start.line, place.end.line + 1)
