"""circus.ini -> ArbiterSpec. What circus has and we don't is told in notices; what is wrong, in problems."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fnmatch import fnmatchcase
from functools import partial
from posixpath import join, normpath
from typing import Any

from msgspec.structs import replace

from circus_cg.config import ini_keys, validate
from circus_cg.config.document import Find, Found, Text
from circus_cg.config.findings import Findings, Kind, Place
from circus_cg.config.ini_keys import Fate
from circus_cg.config.ini_surroundings import MAX_TEXT, Expander, Surroundings, environment, is_text
from circus_cg.config.ini_text import MAX_KEYS, Document, Section, Value
from circus_cg.config.ini_values import boolean, made, option_at, value_of
from circus_cg.config.ini_watcher import Rule, WatcherReader
from circus_cg.config.native import no_files
from circus_cg.config.nodes import MAX_NODES, TooLarge
from circus_cg.config.problems import shown, title
from circus_cg.errors import ConfigError
from circus_cg.spec import ArbiterSpec, Flapping, UdpWatchdog, WatcherSpec

MAX_PATTERNS = 1000  # of include and include_dir

# Without its flapping plugin circus restarts for ever; so the rule may slow down, but not give up.
_NO_PLUGIN: Rule = {"max_retry": -1}
_INCLUDES = {"include": "", "include_dir": "/*.ini"}  # what is added to a name
_PLUGIN_DEFAULTS: Rule = {"attempts": 2, "window": 1.0, "retry_in": 7.0, "max_retry": 5}


def read(main: Text, here: Surroundings, findings: Findings, find: Find = no_files) -> ArbiterSpec:
    """The validated configuration of `main` and of what it includes, which `find` reads. Raises ConfigError.

    The main file comes first. What it includes includes nothing.
    """
    document = Document(findings)
    try:
        document.add(main.text, main.file)
        for pattern, place in _includes(document, here, findings):
            found = find(pattern)
            for problem in found.problems:
                findings.problem(place, f"cannot include '{shown(pattern)}': {problem}")
            for text in found.texts:
                document.add(text.text, text.file)
            if found == Found():
                findings.notice(Kind.NOTE, place, f"'{shown(pattern)}' leads to no further file")
        spec = _Reader(document, here, findings).spec()
    except TooLarge:
        cause = f"over {MAX_KEYS} keys or variables, or {MAX_TEXT} characters, when all is replaced"
        raise ConfigError([f"{main.file}: too large: {cause}; split the daemon"]) from None
    top = Place(main.file, 1)
    for wrong in validate.problems(spec):
        if not findings.judged(wrong.path):
            findings.problem(findings.where(wrong.path, top), f"{title(wrong.path)}: {wrong.text}", wrong.path)
    findings.raise_any()
    return spec


def _includes(document: Document, here: Surroundings, findings: Findings) -> list[tuple[str, Place]]:
    """The patterns of the main file. A directory's files come after those of `include`, as in circus."""
    section = document.section("circus")
    found = []
    for key, suffix in _INCLUDES.items():
        if section and (value := section.values.get(key)):
            try:
                text = Expander().substitute(value.text, environment(here.environ))
            except ValueError as wrong:
                findings.problem(value.place, f"{key}: {wrong}")
                continue
            found += [(one.rstrip("/") + suffix if suffix else one, value.place) for one in text.split()]
    for _pattern, place in found[MAX_PATTERNS:]:
        findings.problem(place, f"over {MAX_PATTERNS} names and patterns to include; use patterns for several files")
    return found[:MAX_PATTERNS]


class _Reader:
    def __init__(self, document: Document, here: Surroundings, findings: Findings) -> None:
        self._here = here
        self._findings = findings
        self._expander = Expander()
        self._left = MAX_NODES  # variables of all watchers, and patterns tried on names
        self._daemon = environment(here.environ)
        self._local: dict[str, Value] = {}  # [env]
        self._patterns: list[tuple[Section, str, dict[str, Value]]] = []  # [env:PATTERN,PATTERN]
        self._used: set[str] = set()  # titles of those
        self._rule = _NO_PLUGIN
        self._watchdog: tuple[Section, Rule] | None = None  # what a plugin says of it
        self._values: dict[str, Any] = {}
        self._inner: dict[str, dict[str, Any]] = {}  # `control.tcp` and the like, by the first part
        self._watchers: list[Section] = []
        self._sort(document.sections())

    def spec(self) -> ArbiterSpec:
        umask = self._values.pop("umask", None)
        if pidfile := self._values.get("pidfile"):
            self._values["pidfile"] = normpath(join(self._here.directory, pidfile))
        if exit_with := self._values.get("exit_with"):  # names are lower case here
            self._values["exit_with"] = exit_with.lower()
        watchers = []
        for section in sorted(self._one_each(), key=_written_name):
            spec = self._watcher(section)
            watchers.append(spec if umask is None or spec.umask is not None else replace(spec, umask=umask))
        for section in {section.title: section for section, _, _ in self._patterns}.values():
            if section.title not in self._used:
                self._findings.notice(Kind.NOTE, section.place, f"[{shown(section.title)}] is for no watcher")
        if self._watchdog:
            self._inner["udp_watchdog"] = self._one_watchdog(*self._watchdog)
        inner = {key: made(ArbiterSpec, key, found) for key, found in self._inner.items()}  # none of them needs one
        return ArbiterSpec(watchers=tuple(watchers), **self._values, **inner)

    def _sort(self, sections: list[Section]) -> None:
        """[env] before what refers to it; watchers are kept for when all is known that they need."""
        for section in sections:
            if section.title == "env":
                self._local |= self._variables(section, self._daemon)
        known = {**self._daemon, **environment(_texts(self._local))}
        for section in sections:
            kind, colon, rest = section.title.partition(":")
            match kind, bool(colon):
                case "env", False:
                    pass
                case "circus", False:
                    self._circus(section, known)
                case "env", True:
                    variables = self._variables(section, known)
                    self._patterns += [(section, one.strip(), variables) for one in rest.split(",")]
                case "watcher", True:
                    self._watchers.append(section)
                case "socket", True:
                    self._socket(section)
                case "plugin", True:
                    self._plugin(section, known)
                case _:
                    what = f"section [{shown(section.title)}]"
                    self._findings.unknown(section.place, what, partial(ini_keys.guess_section, section.title))

    def _circus(self, section: Section, names: Mapping[str, str]) -> None:
        for key, value in section.values.items():
            if key in _INCLUDES:
                continue
            text = self._text(value, names)
            if key in ("loglevel", "logoutput"):
                self._log(key, value, text)
            elif option := option_at(key, ArbiterSpec):
                cls, name = option
                self._findings.place(tuple(key.split(".")), value.place)
                into = self._values if cls is ArbiterSpec else self._inner.setdefault(key.partition(".")[0], {})
                self._set(into, name, value, partial(value_of, cls, name), text)
            elif key == "umask":
                self._set(self._values, key, value, partial(value_of, WatcherSpec, "umask"), text)
            elif fate := ini_keys.CIRCUS.get(key):
                self._fate(value.place, key, fate, text)
            else:
                what = f"key '{shown(key)}' in [circus]"
                self._findings.unknown(value.place, what, partial(ini_keys.guess_circus, key))

    def _log(self, key: str, value: Value, text: str) -> None:
        """In circus's words."""
        if key == "loglevel":
            words = {"critical": "error", "": ArbiterSpec().loglevel}
            self._set(self._values, key, value, lambda text: words.get(text.lower(), text.lower()), text)
        elif text.startswith("syslog://"):
            self._findings.notice(Kind.NOT_YET, value.place, f"{key}: not yet: a file or standard error, but no syslog")
        elif text not in ("", "-", "stdout"):
            self._set(self._values, key, value, lambda text: normpath(join(self._here.directory, text)), text)

    def _socket(self, section: Section) -> None:
        self._fate(section.place, f"[{shown(section.title)}]", ini_keys.SOCKET, None)
        for key, value in section.values.items():
            if key not in ini_keys.SOCKET_KEYS:
                what = f"key '{shown(key)}' in [{shown(section.title)}]"
                self._findings.unknown(value.place, what, partial(ini_keys.guess_socket, key))

    def _plugin(self, section: Section, names: Mapping[str, str]) -> None:
        use = section.values.get("use")
        if use is None:
            what = f"[{shown(section.title)}] has no `use`, and is skipped"
            self._findings.notice(Kind.NOTE, section.place, what)
        elif use.text == ini_keys.WATCHDOG_PLUGIN:
            self._watchdog = (section, self._watchdog_options(section, names))
        elif use.text != ini_keys.FLAPPING_PLUGIN:
            why = ini_keys.PLUGINS.get(use.text, ini_keys.OTHER_PLUGIN)
            self._fate(use.place, f"[{shown(section.title)}]", Fate(Kind.NOT_YET, why), None)
        else:
            rule = dict(_PLUGIN_DEFAULTS)
            for key, value in section.values.items():
                text = self._text(value, names)
                if key in ini_keys.FLAPPING:
                    convert: Callable[[str], Any] = boolean if key == "active" else partial(value_of, Flapping, key)
                    self._set(rule, key, value, convert, text)
                elif key not in ("use", "priority"):
                    what = f"key '{shown(key)}' in [{shown(section.title)}]"
                    self._findings.unknown(value.place, what, lambda: None)
            self._rule = rule

    def _watchdog_options(self, section: Section, names: Mapping[str, str]) -> Rule:
        options: Rule = {}
        for key, value in section.values.items():
            if own := ini_keys.WATCHDOG.get(key):
                self._findings.place(("udp_watchdog", own), value.place)
                self._set(options, own, value, partial(value_of, UdpWatchdog, own), self._text(value, names))
            elif key not in ("use", "priority"):
                what = f"key '{shown(key)}' in [{shown(section.title)}]"
                self._findings.unknown(value.place, what, lambda: None)
        return options

    def _one_watchdog(self, section: Section, options: Rule) -> Rule:
        """Of the plugin and of [circus], which has the same options by our names."""
        ours = self._inner.get("udp_watchdog", {})
        for key, value in section.values.items():
            if (own := ini_keys.WATCHDOG.get(key)) in ours:
                text = f"{key} is in [{shown(section.title)}], and udp_watchdog.{own} in [circus]; remove one"
                self._findings.problem(value.place, text)
        return {**ours, **options}

    def _one_each(self) -> list[Section]:
        seen: dict[str, Section] = {}
        for section in self._watchers:
            other = seen.setdefault(_name(section), section)
            if other is not section:
                text = f"[{shown(section.title)}] collides with [{shown(other.title)}] at {other.place}"
                self._findings.problem(section.place, f"{text}; choose names that differ in more than case")
        return list(seen.values())

    def _watcher(self, section: Section) -> WatcherSpec:
        written, name = _written_name(section), _name(section)
        self._findings.place(("watchers", name), section.place)
        if name != written.lower():
            text = f"the watcher is named {shown(name)}, as in circus's events: a name has no blanks"
            self._findings.notice(Kind.NOTE, section.place, text, name)
        env = dict(self._local)
        for environment_section, pattern, variables in self._patterns:
            self._spend(1)
            if len(written) <= validate.MAX_NAME and fnmatchcase(written, pattern):
                env |= variables
                self._used.add(environment_section.title)
        self._spend(len(env))
        for variable, value in env.items():
            self._findings.place(("watchers", name, "env", variable), value.place)
        texts = _texts(env)
        known = {**self._daemon, **environment(texts)}
        return WatcherReader(section, name, self._findings, self._expander).read(texts, known, self._here, self._rule)

    def _variables(self, section: Section, names: Mapping[str, str]) -> dict[str, Value]:
        """The environment that a section writes: `$NAME` and references are replaced by the daemon's variables."""
        found = {}
        for name, value in section.values.items():
            try:
                text = self._expander.variables(value.text, self._here.environ)
                text = self._expander.substitute(text, names).strip()
            except ValueError as wrong:
                self._findings.problem(value.place, f"{shown(name)} in [{shown(section.title)}]: {wrong}")
                continue
            if is_text(text):
                found[name] = Value(text, value.place)
            else:
                what = f"{shown(name)} in [{shown(section.title)}]: what '{shown(value.text)}' stands for is no UTF-8"
                self._findings.problem(value.place, f"{what}; correct the variable")
        return found

    def _text(self, value: Value, names: Mapping[str, str]) -> str:
        try:
            return self._expander.substitute(value.text, names)
        except ValueError as wrong:
            self._findings.problem(value.place, str(wrong))
            return value.text

    def _set(self, into: dict[str, Any], key: str, value: Value, convert: Callable[[str], Any], text: str) -> None:
        try:
            read = convert(text)
        except ValueError as wrong:
            what = str(wrong) if text == value.text else f"what '{shown(value.text)}' stands for is wrong"
            self._findings.problem(value.place, f"{key}: {what}", (key,))
        else:
            if read is not None:
                into[key] = read

    def _fate(self, place: Place, key: str, fate: Fate, text: str | None) -> None:
        if fate.kind is not None and (text is None or text.lower() not in fate.idle):
            self._findings.notice(fate.kind, place, f"{key}: {fate.kind}: {fate.why}")

    def _spend(self, count: int) -> None:
        self._left -= count
        if self._left < 0:
            raise TooLarge


def _texts(values: Mapping[str, Value]) -> dict[str, str]:
    return {key: value.text for key, value in values.items()}


def _name(section: Section) -> str:
    return "_".join(_written_name(section).lower().split(" "))


def _written_name(section: Section) -> str:
    return section.title.partition(":")[2].strip()
