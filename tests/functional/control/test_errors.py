"""What is wrong between a client and a daemon afar is told at once, each by its own message and exit status."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from circus_cg.rpc import curve
from tests.conftest import SLOWNESS
from tests.functional.control.afar import Afar, free_port
from tests.functional.control.conftest import StartAfar
from tests.functional.daemon import PROGRAM

PATIENT = ("--timeout", "50")  # so that no time-out is what ends it


@contextmanager
def quick(seconds: float = 3) -> Iterator[None]:
    begun = time.monotonic()
    yield
    took = time.monotonic() - begun
    assert took < seconds * SLOWNESS, f"it took {took:.1f} s"


@pytest.fixture
def running(afar: StartAfar) -> Afar:
    return afar()


def test_a_key_that_the_daemon_does_not_know(running: Afar) -> None:
    with quick():
        done = running.ctl(running.own_key("alice"), *PATIENT, "list")
    assert (done.returncode, "knows no key of ours (alice" in done.stderr) == (7, True), done.stderr


def test_a_server_key_that_is_not_the_daemons(running: Afar) -> None:
    with quick():
        done = running.ctl(running.own_key("alice", "admin"), *PATIENT, "list", server_key=curve.fresh("x").public)
    assert (done.returncode, "doesn't have the server key" in done.stderr) == (8, True), done.stderr


def test_no_daemon(running: Afar) -> None:
    with quick():
        done = running.ctl(running.own_key("a"), *PATIENT, "list", endpoint=f"tcp://localhost:{free_port()}")
    assert (done.returncode, "nobody listens on" in done.stderr) == (5, True), done.stderr


def test_no_such_host(running: Afar) -> None:
    done = running.ctl(running.own_key("a"), *PATIENT, "list", endpoint="tcp://no-such-host.invalid:7777")
    assert (done.returncode, "no host 'no-such-host.invalid'" in done.stderr) == (5, True), done.stderr


def test_no_answer(running: Afar) -> None:
    """Somebody takes the connection and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as silent, quick(4):
        endpoint = f"tcp://127.0.0.1:{silent.getsockname()[1]}"
        done = running.ctl(running.own_key("a"), "--timeout", "1", "list", endpoint=endpoint)
    assert (done.returncode, "no answer from tcp://" in done.stderr) == (6, True), done.stderr


@pytest.mark.parametrize("greeting", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\xff" * 64, b"SSH-2.0\r\n", b""])
def test_somebody_else_listens_there(running: Afar, greeting: bytes) -> None:
    """What it says is no ZeroMQ, or it hangs up at once."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        endpoint = f"tcp://127.0.0.1:{other.getsockname()[1]}"
        client_key = running.own_key("a")
        import threading  # noqa: PLC0415

        def serve() -> None:
            try:
                while True:
                    taken, _ = other.accept()
                    taken.sendall(greeting)
                    taken.close()
            except OSError:
                return

        threading.Thread(target=serve, daemon=True).start()
        with quick():
            done = running.ctl(client_key, *PATIENT, "list", endpoint=endpoint)
    assert done.returncode == 8, done.stderr


def test_the_file_of_hosts_names_a_daemon(running: Afar) -> None:
    client_key = running.own_key("alice", "observe")
    hosts = running.own_directory / "hosts.toml"
    hosts.write_text(
        f'[shop]\nendpoint = "{running.endpoint}"\nserver_key = "{running.server_key}"\nclient_key = "{client_key}"\n'
    )

    def ctl(host: str) -> subprocess.CompletedProcess[str]:
        command = [PROGRAM, "ctl", "--host", host, "list"]
        return subprocess.run(
            command, env=running.daemon.environment, capture_output=True, text=True, check=False, timeout=60
        )

    hosts.chmod(0o644)
    assert (ctl("shop").returncode, "chmod 600" in ctl("shop").stderr) == (2, True)
    hosts.chmod(0o600)
    assert ctl("shop").stdout.split() == ["db", "web", "web-2"]
    assert "hosts there: shop" in ctl("ship").stderr


def test_quit_from_afar_returns_when_the_daemon_is_gone(running: Afar) -> None:
    done = running.ctl(running.own_key("alice", "admin"), "quit")
    assert (done.returncode, done.stdout) == (0, "ok\n"), done.stderr
    assert running.daemon.process is not None
    assert running.daemon.process.wait(5 * SLOWNESS) == 0


@pytest.mark.parametrize("missing", ["key", "list", "taken"])
def test_a_daemon_that_can_not_listen_does_not_start(tmp_path: Path, scratch_name: str, missing: str) -> None:
    afar = Afar(tmp_path, scratch_name)
    expected = 2
    with socket.socket() as other:
        match missing:
            case "key":
                (afar.keys_directory / "server.key").chmod(0o644)
            case "list":
                (afar.keys_directory / "authorized").unlink()
            case _:
                other.bind(("127.0.0.1", afar.port))
                other.listen()
                expected = 3
        command = [PROGRAM, "run", str(afar.daemon.config)]
        done = subprocess.run(
            command, env=afar.daemon.environment, capture_output=True, text=True, check=False, timeout=60
        )
    assert done.returncode == expected and done.stderr.startswith("circus-cg: cannot "), done.stderr
