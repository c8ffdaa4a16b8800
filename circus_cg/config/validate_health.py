"""What must fit together in readiness, watchdogs and health checks."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from urllib.parse import urlsplit

from circus_cg.config.problems import Path, Problem, shown
from circus_cg.config.substitution import references, substitute
from circus_cg.spec import HealthCheck, UdpWatchdog, WatcherSpec

MAX_CHECKS = 16  # of one watcher
MAX_NAME = 64

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
_HOST_AND_PORT = re.compile(r"(?:(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9_.-]+):)?(?P<port>[0-9]{1,5})")


def watcher(spec: WatcherSpec, path: Path) -> Iterator[Problem]:
    if spec.ready == "fd" and spec.notification_fd < 3:
        yield Problem((*path, "notification_fd"), "0, 1 and 2 are the standard streams; expected 3 or more")
    if len(spec.health) > MAX_CHECKS:
        yield Problem((*path, "health"), f"{len(spec.health)} checks are too many; expected at most {MAX_CHECKS}")
    seen: set[str] = set()
    for check in spec.health:
        here = (*path, "health", check.name)
        if not _NAME.fullmatch(check.name) or len(check.name) > MAX_NAME:
            expected = f"at most {MAX_NAME} of letters, digits, '_', '-' and '.', beginning with none of '-' and '.'"
            yield Problem(here, f"'{shown(check.name)}' can't be a name; expected {expected}")
        if check.name in seen:
            yield Problem(here, "there are two checks of that name; choose another")
        seen.add(check.name)
        yield from _check(check, here)


def _check(check: HealthCheck, path: Path) -> Iterator[Problem]:
    ways = [way for way, value in (("exec", check.exec), ("tcp", check.tcp), ("http", check.http)) if value]
    if len(ways) != 1:
        found = " and ".join(ways) if ways else "none"
        yield Problem(path, f"expected one of exec, tcp and http, found {found}")
    if check.exec and not check.exec[0]:
        yield Problem((*path, "exec"), "no program; expected its name or path, then its arguments")
    if check.tcp is not None and address(_of_some_worker(check.tcp)) is None:
        yield Problem((*path, "tcp"), f"'{shown(check.tcp)}' can't be connected to; expected HOST:PORT or a port")
    if check.http is not None and not _is_url(_of_some_worker(check.http)):
        expected = "expected one such as http://127.0.0.1:8080/health"
        yield Problem((*path, "http"), f"'{shown(check.http)}' is no URL to get; {expected}")
    if check.window is not None and check.window < check.failures:
        yield Problem((*path, "window"), f"{check.window} answers can't hold {check.failures} failures; expected more")


def address(text: str) -> tuple[str, int] | None:
    """(host, port) of a check's `tcp`; None: it is none."""
    found = _HOST_AND_PORT.fullmatch(text)
    if found is None or not 1 <= int(found["port"]) <= 65535:
        return None
    host = found["host"] or "127.0.0.1"
    if host.startswith("["):
        try:
            ipaddress.IPv6Address(host[1:-1])
        except ValueError:
            return None
    return host.strip("[]"), int(found["port"])


def udp_watchdog(spec: UdpWatchdog, path: Path) -> Iterator[Problem]:
    try:
        ipaddress.IPv4Address(spec.ip)
    except ValueError:
        yield Problem((*path, "ip"), f"'{shown(spec.ip)}' is no IPv4 address; expected one such as 127.0.0.1")
    for key in ("watchers_regex", "msg_regex"):
        try:
            pattern = re.compile(getattr(spec, key))
        except re.error as wrong:
            yield Problem((*path, key), f"no regular expression: {wrong}; correct it")
            continue
        if key == "msg_regex" and "pid" not in pattern.groupindex:
            yield Problem((*path, key), "it finds no pid; expected a group (?P<pid>...)")


def _is_url(text: str) -> bool:
    try:
        parts = urlsplit(text)
        _ = parts.port  # raises too
    except ValueError:
        return False
    plain = text.isprintable() and " " not in text
    return plain and parts.scheme in ("http", "https") and bool(parts.hostname) and parts.username is None


def _of_some_worker(text: str) -> str:
    """With a number where the worker's own will be."""
    return substitute(text, {"wid": "1"}) if "wid" in references(text) else text
