"""Keys as text. Pure: `keyring` has the files.

A key pair, mode 0600:      name alice / public 64HEX / secret 64HEX, a line each
Who may come, one a line:   ROLE NAME 64HEX [GLOB,GLOB...] [# comment]

Keys are CURVE25519, written in hexadecimal: shells and comments would misread ZeroMQ's own Z85.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

from circus_cg.core.access import LOCAL, Caller, role_of

KEY = re.compile("[0-9a-f]{64}")
NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@-]{0,63}")  # it becomes a file's name
GLOB = re.compile(r"[A-Za-z0-9_.*?\[\]!-]{1,64}")

HEADER = """\
# Who may operate this daemon from afar: ROLE NAME PUBLIC-KEY [WATCHERS], one a line; what follows a # is a comment.
# ROLE: observe (look), operate (start, stop, signal, scale), admin (all). WATCHERS: globs with commas, or all.
# A running daemon sees every change. `circus-cg keys authorize` and `revoke` write here; so may you.
"""


class KeyPair(NamedTuple):
    """Keys in hexadecimal."""

    name: str
    public: str
    secret: str

    def __repr__(self) -> str:
        return f"KeyPair({self.name!r}, {self.public!r}, secret not shown)"


class Authorized(NamedTuple):
    """`problems`: lines that say nothing, as `(line number, what is wrong)`; they give nobody anything."""

    callers: dict[str, Caller]  # by public key
    problems: list[tuple[int, str]]


def public_key(text: str) -> str:
    """A public key as it is kept. Raises ValueError."""
    key = text.strip().lower()
    if not KEY.fullmatch(key):
        raise ValueError(f"{text.strip()[:20]!r} is no public key; expected 64 hexadecimal digits")
    return key


def key_name(text: str) -> str:
    """Raises ValueError."""
    if text == LOCAL.name:
        raise ValueError(f"{text!r} can't be a key's name: the audit calls so who is here; take another")
    if not NAME.fullmatch(text):
        raise ValueError(f"{text[:64]!r} can't be a key's name; expected letters, digits, '_', '-', '.' and '@'")
    return text


def globs(text: str) -> tuple[str, ...]:
    """Raises ValueError."""
    found = tuple(text.split(","))
    for one in found:
        if not GLOB.fullmatch(one):
            raise ValueError(f"{one[:64]!r} is no glob of watchers; expected such as web-* or web,mail")
    return found


def read_pair(text: str) -> KeyPair:
    """Raises ValueError, which never shows a secret."""
    found = _fields(text, ("name", "public", "secret"))
    if not all(KEY.fullmatch(found[field]) for field in ("public", "secret")):
        raise ValueError("a key in it is not 64 hexadecimal digits")
    return KeyPair(key_name(found["name"]), found["public"], found["secret"])


def read_public(text: str) -> str:
    """The public key of a .pub or .key file. Raises ValueError."""
    return public_key(_fields(text, ("public",))["public"])


def write_pair(pair: KeyPair) -> str:
    secret = "# A circus-cg key. The secret is the key's owner's alone: never send this file, send its .pub.\n"
    return f"{secret}{write_public(pair)}secret {pair.secret}\n"


def write_public(pair: KeyPair) -> str:
    return f"name {pair.name}\npublic {pair.public}\n"


def read_authorized(text: str) -> Authorized:
    """Each line by itself: a slip of the pen must not let in somebody whose line was taken out."""
    callers: dict[str, Caller] = {}
    problems = []
    for number, line in enumerate(text.splitlines(), 1):
        try:
            entry = _entry(line)
        except ValueError as wrong:
            problems.append((number, str(wrong)))
            continue
        if entry is None:
            continue
        key, caller = entry
        if key in callers or any(known.name == caller.name for known in callers.values()):
            problems.append((number, f"{caller.name!r} or its key is in a line above; this line gives nothing"))
        else:
            callers[key] = caller
    return Authorized(callers, problems)


def with_entry(text: str, key: str, caller: Caller) -> str:
    """`text` with one more line. Raises ValueError if the name or the key is there."""
    for number, known_key, known in _entries(text):
        if known.name == caller.name or known_key == key:
            raise ValueError(f"line {number} has {known.name!r} with the key {known_key[:8]}...; revoke that one first")
    watchers = f"  {','.join(caller.watchers)}" if caller.watchers else ""
    gap = "" if not text or text.endswith("\n") else "\n"
    return f"{text}{gap}{caller.role.word:<8} {caller.name}  {key}{watchers}\n"


def without(text: str, name: str) -> str:
    """`text` without the lines of `name`; all else stays as it is. Raises KeyError if there is none."""
    gone = {number for number, _, caller in _entries(text) if caller.name == name}
    if not gone:
        raise KeyError(name)
    lines = text.splitlines(keepends=True)
    return "".join(line for number, line in enumerate(lines, 1) if number not in gone)


def _entries(text: str) -> Iterable[tuple[int, str, Caller]]:
    for number, line in enumerate(text.splitlines(), 1):
        try:
            entry = _entry(line)
        except ValueError:
            continue
        if entry is not None:
            yield number, *entry


def _entry(line: str) -> tuple[str, Caller] | None:
    """Raises ValueError; None for a line without anything."""
    words = line.partition("#")[0].split()
    if not words:
        return None
    if not 3 <= len(words) <= 4:
        raise ValueError("expected ROLE NAME PUBLIC-KEY [WATCHERS]")
    watchers = globs(words[3]) if len(words) == 4 else ()
    return public_key(words[2]), Caller(key_name(words[1]), role_of(words[0]), watchers)


def _fields(text: str, wanted: tuple[str, ...]) -> dict[str, str]:
    found = {}
    for line in text.splitlines():
        words = line.partition("#")[0].split()
        if len(words) == 2:
            found[words[0]] = words[1]
    if missing := [field for field in wanted if field not in found]:
        raise ValueError(f"it is no key: it has no line `{missing[0]} ...`")
    return found
