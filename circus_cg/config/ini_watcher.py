"""One `[watcher:NAME]` of circus.ini -> WatcherSpec."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from posixpath import join, normpath
from typing import Any, TypeVar

from circus_cg.config import ini_keys
from circus_cg.config.findings import Findings, Kind, Place
from circus_cg.config.ini_command import LATER, command, leftovers, options
from circus_cg.config.ini_streams import stream
from circus_cg.config.ini_surroundings import Expander, Surroundings, is_text
from circus_cg.config.ini_text import Section, Value
from circus_cg.config.ini_values import boolean, made, option_at, rlimit, value_of
from circus_cg.config.problems import Path, shown
from circus_cg.config.schema import expected, fields
from circus_cg.config.substitution import references
from circus_cg.spec import Flapping, WatcherSpec

T = TypeVar("T")
Rule = dict[str, Any]  # Flapping's fields, and `active`

_RLIMIT = "rlimit_"
_ALIASES = {"ofile": "nofile"}  # BSD's name, which circus takes too


class WatcherReader:
    """Reads one section. What is wrong goes to the findings; reading goes on."""

    def __init__(self, section: Section, name: str, findings: Findings, expander: Expander) -> None:
        self.section = section
        self.name = name
        self.findings = findings
        self._expander = expander
        self._values: dict[str, Value] = {}

    def read(self, env: Mapping[str, str], names: Mapping[str, str], here: Surroundings, rule: Rule) -> WatcherSpec:
        """`env` is what it writes itself, `names` what it may refer to; `rule` is flapping's for all watchers."""
        self._values = self._expanded(names)
        values: dict[str, Any] = {"name": self.name, "env": env, "rlimits": {}}
        inner: dict[str, dict[str, Any]] = {}
        for key, value in self._values.items():
            if key.startswith(_RLIMIT) and key != _RLIMIT:
                self._rlimit(key, value, here, values["rlimits"])
            elif key.startswith("flapping.") and key.partition(".")[2] in ini_keys.FLAPPING:
                continue
            elif option := option_at(key):
                cls, field = option
                path = ("watchers", self.name, *key.split("."))
                read = self._try(path, value, partial(value_of, cls, field), key)
                if read is not None:
                    target = values if cls is WatcherSpec else inner.setdefault(key.partition(".")[0], {})
                    target[field] = read
            else:
                self._other(key, value)
        for key, found in inner.items():
            try:
                values[key] = made(WatcherSpec, key, found)
            except ValueError as missing:
                place = self.findings.where(("watchers", self.name, key, next(iter(found))), self.section.place)
                self._problem(place, key, str(missing))
        values["flapping"] = self.flapping(rule)
        self._restart_and_order(values)
        if "virtualenv" in values:
            values["virtualenv"] = normpath(join(here.directory, values["virtualenv"]))
        values["working_dir"] = normpath(join(here.directory, values.get("working_dir") or ""))
        self._streams(values, here)
        values["cmd"] = self._command(names, here)
        for key in ("working_dir", "virtualenv", "stdout", "stderr"):
            place = self.findings.where(("watchers", self.name, key), self.section.place)
            for text in leftovers(values.get(key) or ""):
                self._notice(Kind.NOTE, place, f"{key}: {text}")
        return WatcherSpec(**values)

    def _restart_and_order(self, values: dict[str, Any]) -> None:
        if "respawn" in self._values and not self._flag("respawn"):
            values.setdefault("restart", "never")
        for key in {"after", "requires"} & values.keys():  # names are lower case here
            values[key] = tuple(name.lower() for name in values[key])

    def flapping(self, rule: Rule) -> Flapping:
        rule = dict(rule)
        for key in ini_keys.FLAPPING:
            if value := self._values.get(f"flapping.{key}"):
                convert: Callable[[str], Any] = boolean if key == "active" else partial(value_of, Flapping, key)
                read = self._try(("watchers", self.name, "flapping", key), value, convert, f"flapping.{key}")
                if read is not None:
                    rule[key] = read
        active = rule.pop("active", True)
        return Flapping(**rule) if active else Flapping(attempts=0)

    def _expanded(self, names: Mapping[str, str]) -> dict[str, Value]:
        """The values with references to the environment replaced."""
        found = {}
        for key, value in self.section.values.items():
            try:
                text = self._expander.substitute(value.text, names)
            except ValueError as wrong:
                self._problem(value.place, key, str(wrong))
                continue
            if not is_text(text):
                self._problem(
                    value.place, key, f"what '{shown(value.text)}' stands for is no UTF-8; correct the variable"
                )
                continue
            found[key] = Value(text, value.place)
        return found

    def _command(self, names: Mapping[str, str], here: Surroundings) -> tuple[str, ...]:
        cmd = self._values.get("cmd")
        path = ("watchers", self.name, "cmd")
        place = cmd.place if cmd else self.section.place
        self.findings.place(path, place)
        if not cmd:
            self._problem(place, "cmd", f"missing key 'cmd' in [{shown(self.section.title)}]", bare=True)
            return ()
        texts = {key: value.text for key, value in self._values.items()}
        try:
            known = {**names, **options(texts, here.directory)}
            words = command(texts, known, self._expander, shell=self._flag("shell"))
        except ValueError as wrong:
            written = [self.section.values[key].text for key in ("cmd", "args", "shell_args") if key in texts]
            secret = any(references(one) for one in written)  # what they stand for stays unsaid
            text = "can't be split into words with its references replaced; close the quotes" if secret else str(wrong)
            self._problem(place, "cmd", text)
            return ()
        for text in leftovers(" ".join(words), LATER):
            self._notice(Kind.NOTE, place, f"cmd: {text}")
        if "shell_args" in texts and not self._flag("shell"):
            self._notice(Kind.NOTE, self._values["shell_args"].place, "shell_args: only `shell = True` uses them")
        return words

    def _streams(self, values: dict[str, Any], here: Surroundings) -> None:
        for name in ("stdout", "stderr"):
            prefix = f"{name}_stream."
            found = {key.removeprefix(prefix): one for key, one in self._values.items() if key.startswith(prefix)}
            if found and name in values:
                self._problem(
                    found[next(iter(found))].place, name, f"{name} and {prefix}... are both there; remove one"
                )
            elif found:
                values[name] = self._stream(name, found, here)
            if self._flag(f"close_child_{name}"):
                values[name] = "null"

    def _stream(self, name: str, options: dict[str, Value], here: Surroundings) -> str:
        place = options[next(iter(options))].place
        self.findings.place(("watchers", self.name, name), place)
        try:
            target, notes = stream(options)
        except ValueError as wrong:
            self._problem(options["class"].place, f"{name}_stream.class", str(wrong))
            return "inherit"
        for one, text in notes:
            self._notice(Kind.NOT_YET, one, f"{name}_stream: {text}")
        return "inherit" if target is None else join(here.directory, target)

    def _rlimit(self, key: str, value: Value, here: Surroundings, into: dict[str, Any]) -> None:
        name = key.removeprefix(_RLIMIT).lower()
        name = _ALIASES.get(name, name)
        unlimited = here.hard_nofile if name == "nofile" else None
        read = self._try(("watchers", self.name, "rlimits", name), value, lambda text: rlimit(text, unlimited), key)
        if read is not None:
            into[name] = read

    def _other(self, key: str, value: Value) -> None:
        """A key that is no option of ours, or is read together with others."""
        fate = ini_keys.watcher_fate(key)
        cls = self._values.get(f"{key.partition('.')[0]}.class")
        if fate is None and cls and "." in cls.text:
            return  # an option of a stream's class, of which all is said
        if fate is None:
            what = f"key '{shown(key)}' in [{shown(self.section.title)}]"
            self.findings.unknown(value.place, what, lambda: ini_keys.guess_watcher(key), self.name)
        elif fate.kind is not None and value.text.lower() not in fate.idle:
            self._notice(fate.kind, value.place, f"{shown(key)}: {fate.kind}: {fate.why}")

    def _flag(self, key: str) -> bool:
        value = self._values.get(key)
        return value is not None and bool(self._try(("watchers", self.name, key), value, boolean, key))

    def _try(self, path: Path, value: Value, convert: Callable[[str], T], key: str) -> T | None:
        self.findings.place(path, value.place)
        try:
            return convert(value.text)
        except ValueError as wrong:
            written = self.section.values[key].text
            text = str(wrong)
            if written != value.text:  # whatever it stands for may be a secret
                option = option_at(key)
                wanted = expected(fields(option[0])[option[1]].type, None) if option else "another value"
                text = f"what '{shown(written)}' stands for is wrong; expected {wanted}"
            self._problem(value.place, key, text)
            return None

    def _problem(self, place: Place, key: str, text: str, *, bare: bool = False) -> None:
        whole = text if bare else f"{shown(key)} in [{shown(self.section.title)}]: {text}"
        self.findings.problem(place, whole, ("watchers", self.name, *key.split(".")))

    def _notice(self, kind: Kind, place: Place, text: str) -> None:
        self.findings.notice(kind, place, text, self.name)
