"""Readiness, watchdogs and health checks: what may be written, and what is refused with what to do about it."""

from __future__ import annotations

import pytest

from circus_cg.config import native, options
from circus_cg.config.validate_health import address
from circus_cg.errors import ConfigError
from circus_cg.spec import HealthCheck, UdpWatchdog, WatcherSpec


def watcher(text: str) -> WatcherSpec:
    return native.read(f"watchers: {{web: {{cmd: serve, {text}}}}}", "a.yaml").watchers[0]


def problems(text: str) -> str:
    with pytest.raises(ConfigError) as raised:
        watcher(text)
    return "\n".join(raised.value.problems)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("ready: soon", "'soon' is wrong; expected exec or notify or fd"),
        ("notification_fd: 2", "2 is out of range; expected 3 to 1023"),
        ("start_timeout: 0", "0.0 is out of range"),
        ("watchdog: {timeout: 0}", "0.0 is out of range"),
        ("watchdog: {signal: 99}", "99"),
        ("health: {a: {}}", "expected one of exec, tcp and http, found none"),
        ("health: {a: {tcp: 1, http: 'http://h'}}", "expected one of exec, tcp and http, found tcp and http"),
        ("health: {a: {tcp: 99999}}", "'99999' can't be connected to; expected HOST:PORT or a port"),
        ("health: {a: {tcp: 'a b:1'}}", "can't be connected to"),
        ("health: {a: {http: 'ftp://h/'}}", "is no URL to get; expected one such as http://127.0.0.1:8080/health"),
        ("health: {a: {http: 'http://u:p@h/'}}", "is no URL to get"),
        ("health: {a: {http: '/health'}}", "is no URL to get"),
        ("health: {a: {tcp: 1, failures: 3, window: 2}}", "2 answers can't hold 3 failures; expected more"),
        ("health: {'a/b': {tcp: 1}}", "'a/b' can't be a name"),
        ("health: {a: {tcp: 1, kind: alive}}", "'alive' is wrong; expected liveness or readiness"),
        ("health: {a: {exec: []}}", "found none"),
        ("health: {a: {tpc: 1}}", "did you mean 'tcp'"),
        (f"health: {{{', '.join(f'c{n}: {{tcp: 1}}' for n in range(17))}}}", "17 checks are too many"),
    ],
)
def test_what_is_wrong_is_refused_by_name(text: str, told: str) -> None:
    assert told in problems(text)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("8080", ("127.0.0.1", 8080)),
        ("db.example:5432", ("db.example", 5432)),
        ("[::1]:80", ("::1", 80)),
        ("0", None),
        ("[zz]:80", None),
        ("host", None),
        ("", None),
    ],
)
def test_where_a_check_connects_to(text: str, found: tuple[str, int] | None) -> None:
    assert address(text) == found


def test_a_check_may_name_the_worker_s_number() -> None:
    checks = watcher("health: {a: {tcp: '80$(circus.wid)'}, b: {http: 'http://h:80$(circus.wid)/'}}").health
    assert checks == (
        HealthCheck(name="a", tcp="80$(circus.wid)"),
        HealthCheck(name="b", http="http://h:80$(circus.wid)/"),
    )


def test_a_check_can_be_changed_by_name_while_the_daemon_runs() -> None:
    spec = watcher("health: {a: {tcp: 80}}")
    changed = options.revised(
        spec, {"health": {"b": {"exec": "check --all", "interval": "5s"}}, "watchdog.timeout": "1m"}
    )
    assert changed.health == (HealthCheck(name="b", exec=("check", "--all"), interval=5.0),)
    assert changed.watchdog.timeout == 60.0


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{ip: here}", "'here' is no IPv4 address"),
        ("{watchers_regex: '('}", "no regular expression"),
        ("{msg_regex: 'x(?P<number>.)'}", "it finds no pid; expected a group (?P<pid>...)"),
        ("{port: 0}", "0 is out of range"),
    ],
)
def test_a_udp_watchdog_that_could_not_work_is_refused(text: str, told: str) -> None:
    with pytest.raises(ConfigError) as raised:
        native.read(f"udp_watchdog: {text}\nwatchers: {{web: {{cmd: serve}}}}", "a.yaml")
    assert told in "\n".join(raised.value.problems)


def test_a_udp_watchdog_listens_on_the_loopback_unless_it_is_told_otherwise() -> None:
    spec = native.read("udp_watchdog: {}\nwatchers: {web: {cmd: serve}}", "a.yaml")
    assert spec.udp_watchdog == UdpWatchdog(ip="127.0.0.1", port=1664)
