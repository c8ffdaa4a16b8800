"""Checks of liveness end a worker, checks of readiness end nobody; neither is at the worker's expense."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from tests.conftest import SLOWNESS, until
from tests.functional.conftest import StartDaemon
from tests.functional.daemon import Daemon, Refused, Row
from tests.functional.evidence import arbiter_of, lines_of, quoted, sh
from tests.scratch_groups import members_of

SLEEP = ["sleep", "1000"]
OFTEN = 0.1 * SLOWNESS  # seconds
PATIENCE = 2.0 * SLOWNESS


def row(running: Daemon, watcher: str = "w") -> Row:
    (found,) = running.workers(watcher)
    return found


def check(**options: Any) -> dict[str, Any]:
    return {"interval": OFTEN, "timeout": PATIENCE, "failures": 2, **options}


def ok_if(path: Path) -> list[str]:
    return sh(f"echo looked >> {quoted(path)}.log; test -e {quoted(path)}")


class Web:
    """A dependency: answers with `status`, or not at all; counts its questions."""

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        self.status, self.asked = 200, 0
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.asked += 1
                self.send_response(outer.status)
                self.send_header("Location", "http://192.0.2.1/")  # to where nobody answers
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                """Nothing."""

        self._server = HTTPServer(("127.0.0.1", 0), Handler)
        if context is not None:
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.port = self._server.server_port
        self._thread = Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def web() -> Iterator[Web]:
    made = Web()
    yield made
    made.close()


def test_a_worker_that_fails_its_liveness_check_is_replaced_and_told_why(daemon: StartDaemon, tmp_path: Path) -> None:
    good = tmp_path / "good"
    good.touch()
    running = daemon(watchers={"w": {"cmd": SLEEP, "health": {"up": check(exec=ok_if(good))}}})
    (before,) = running.wait_phase("w")
    until(lambda: len(lines_of(Path(f"{good}.log"))) >= 4)
    assert row(running)["pid"] == before["pid"]
    good.unlink()
    until(lambda: row(running)["generation"] >= 2, 20)
    last = row(running)["last_exit"]
    assert last["reason"] == "health"
    assert "check up: status 1" in last["detail"]


def test_a_check_runs_as_the_worker_would_but_never_in_its_group(daemon: StartDaemon, tmp_path: Path) -> None:
    seen = tmp_path / "seen"
    script = f"(cat /proc/self/cgroup; echo colour=$COLOUR; echo number=$1; pwd) > {quoted(seen)}.part"
    command = [*sh(f"{script}; mv {quoted(seen)}.part {quoted(seen)}"), "check", "$(circus.wid)"]
    watcher = {
        "cmd": SLEEP,
        "env": {"COLOUR": "blue"},
        "working_dir": "/usr",
        "limits": {"memory_max": "64M"},
        "health": {"c": check(exec=command)},
    }
    running = daemon(watchers={"w": watcher})
    running.wait_phase("w")
    until(seen.exists)
    lines = lines_of(seen)
    assert {"colour=blue", "number=1", "/usr"} <= set(lines)
    groups = [line.split(":", 2)[2] for line in lines if ":" in line]
    ours = [group for group in groups if f"/{running.name}/" in f"{group}/"]
    assert ours
    assert all(f"/{running.name}/@health/" in group for group in ours)


def test_a_hung_check_is_killed_with_all_it_forked_when_its_time_is_over(daemon: StartDaemon, tmp_path: Path) -> None:
    began = tmp_path / "began"
    hung = sh(f"trap '' TERM; echo $$ >> {quoted(began)}; setsid sleep 1000 & sleep 1000")
    watcher = {"cmd": SLEEP, "health": {"c": check(exec=hung, timeout=0.3 * SLOWNESS, failures=2)}}
    running = daemon(watchers={"w": watcher})
    (before,) = running.wait_phase("w")
    until(lambda: row(running)["generation"] == 2, 20)
    assert "no answer within" in row(running)["last_exit"]["detail"]
    assert before["last_exit"] is None
    running.ctl("stop", "w")
    until(lambda: not [pid for pid in map(int, lines_of(began)) if Path(f"/proc/{pid}").exists()], 20)
    until(lambda: len(members_of(running.name)) <= 3, 20, "nothing but the daemon's own processes")


def test_a_tcp_check_asks_who_listens(daemon: StartDaemon, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        readiness = check(tcp=str(port), kind="readiness")
        running = daemon(watchers={"w": {"cmd": SLEEP, "health": {"db": readiness}}})
        until(lambda: row(running)["ready"], 10)
    until(lambda: list(row(running)["unwell"]) == ["db"], 10)
    assert (row(running)["phase"], row(running)["generation"], row(running)["ready"]) == ("ready", 1, False)
    assert "unready (db)" in running.command("ps").stdout


def test_the_outage_of_a_dependency_restarts_nobody_and_holds_a_reload(
    daemon: StartDaemon, web: Web, tmp_path: Path
) -> None:
    url = f"http://127.0.0.1:{web.port}/health"
    watcher = {
        "cmd": SLEEP,
        "numprocesses": 2,
        "start_timeout": 2 * SLOWNESS,
        "health": {"api": check(http=url, kind="readiness")},
    }
    running = daemon(watchers={"w": watcher})
    until(lambda: all(one["ready"] for one in running.wait_phase("w", count=2)), 10)
    web.status = 503
    until(lambda: not any(one["ready"] for one in running.workers("w")), 10)
    before = {one["wid"]: one["pid"] for one in running.workers("w")}
    asked = web.asked
    until(lambda: web.asked > asked + 6)
    assert {one["wid"]: one["pid"] for one in running.workers("w")} == before
    with pytest.raises(Refused, match="does not pass api"):
        running.ctl("reload", "w")
    after = {one["wid"]: one["pid"] for one in running.workers("w")}
    assert (after[1] != before[1], after[2] == before[2]) == (True, True)
    web.status = 302
    until(lambda: all(one["ready"] for one in running.workers("w")), 10)


def test_a_frozen_worker_is_not_asked(daemon: StartDaemon, web: Web) -> None:
    running = daemon(watchers={"w": {"cmd": SLEEP, "health": {"c": check(http=f"http://127.0.0.1:{web.port}")}}})
    until(lambda: web.asked >= 3)
    running.ctl("freeze", "w")
    asked = web.asked
    time.sleep(6 * OFTEN)
    assert web.asked <= asked + 1, "one that was under way"
    running.ctl("thaw", "w")
    still = web.asked
    until(lambda: web.asked >= still + 3)
    assert row(running)["generation"] == 1


def test_the_first_question_comes_after_the_start_period(daemon: StartDaemon, web: Web) -> None:
    late = check(http=f"http://127.0.0.1:{web.port}", start_period=1.0 * SLOWNESS)
    running = daemon(watchers={"w": {"cmd": SLEEP, "health": {"c": late}}})
    (there,) = running.wait_phase("w")
    until(lambda: web.asked >= 1)
    assert time.time() - there["started"] >= 0.9 * SLOWNESS


def test_the_checks_go_on_under_the_next_arbiter_and_follow_a_change(
    daemon: StartDaemon, web: Web, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    options = check(http=f"http://127.0.0.1:{web.port}", kind="readiness")
    running = daemon(watchers={"w": {"cmd": SLEEP, "health": {"c": options}}})
    until(lambda: row(running)["ready"])
    arbiter = until(lambda: arbiter_of(running.pid)) or 0
    os.kill(arbiter, signal.SIGKILL)
    until(lambda: arbiter_of(running.pid) not in (arbiter, None), why="the next arbiter")
    running.wait_answering()
    assert (row(running)["ready"], row(running)["generation"]) == (True, 1)
    asked = web.asked
    until(lambda: web.asked > asked)
    web.status = 500
    until(lambda: row(running)["unwell"] == {"c": "status 500"})
    running.write_config({"watchers": {"w": {"cmd": SLEEP, "health": {"d": check(exec=ok_if(other))}}}})
    running.ctl("reloadconfig")
    until(lambda: other.with_name("other.log").exists())
    until(lambda: row(running)["generation"] == 2 or row(running)["last_exit"], 20)
    assert row(running)["last_exit"]["reason"] == "health"
    assert row(running)["unwell"] == {}


@pytest.mark.host_may_lack("openssl")
@pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl here to make a certificate with")
@pytest.mark.parametrize("verify", [True, False])
def test_https_is_verified_unless_it_is_said_not_to_be(daemon: StartDaemon, tmp_path: Path, verify: bool) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "cert.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost", "-days", "2"]
    subprocess.run([*command, "-keyout", str(key), "-out", str(certificate)], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    web = Web(context)
    try:
        options = check(http=f"https://127.0.0.1:{web.port}", verify=verify)
        running = daemon(watchers={"w": {"cmd": SLEEP, "health": {"c": options}}})
        if verify:
            until(lambda: row(running)["last_exit"], 20)
            assert "certificate" in row(running)["last_exit"]["detail"].lower()
            assert web.asked == 0
        else:
            until(lambda: web.asked >= 4)
            assert (row(running)["generation"], row(running)["last_exit"]) == (1, None)
    finally:
        web.close()


def test_a_check_that_is_removed_while_a_worker_starts_is_waited_for_by_nobody(
    daemon: StartDaemon, tmp_path: Path
) -> None:
    go = tmp_path / "go"
    cmd = sh(f"while ! test -e {quoted(go)}; do sleep 0.05; done; echo ready >&3; exec sleep 1000")
    wrong = check(exec=["false"], kind="readiness")
    running = daemon(watchers={"w": {"cmd": cmd, "ready": "fd", "health": {"db": wrong}}})
    until(lambda: row(running)["phase"] == "starting", 10)
    running.write_config({"watchers": {"w": {"cmd": cmd, "ready": "fd"}}})
    running.ctl("reloadconfig", "--no-wait")
    until(lambda: not running.ctl("options", "w")["options"].get("health"), 10, "the new configuration")
    go.touch()
    until(lambda: row(running)["ready"], 10, "one that serves")


def test_a_check_that_is_gone_with_an_upgrade_is_waited_for_by_nobody(daemon: StartDaemon) -> None:
    wrong = check(exec=["false"], kind="readiness")
    running = daemon(watchers={"w": {"cmd": SLEEP, "health": {"db": wrong}}})
    until(lambda: list(row(running)["unwell"]) == ["db"], 10)
    pid = row(running)["pid"]
    running.write_config({"watchers": {"w": {"cmd": SLEEP}}})
    running.ctl("upgrade")
    until(lambda: row(running)["ready"], 10, "one that serves")
    assert row(running)["pid"] == pid
