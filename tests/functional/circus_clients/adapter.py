"""A pytest plugin for circus's own tests: what they take for an arbiter of circus is a daemon of ours.

It is loaded into a pytest of its own, in a checkout of circus, whose package `tests` it changes; ours is not there.
Not everything that such an arbiter can do in its process is here: those tests fail, and are listed with the reason.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import pytest
import tornado.gen
from circus.client import CircusClient

PROGRAM = str(Path(sys.executable).with_name("circus-cg"))
OURS = (
    "numprocesses", "graceful_timeout", "stop_signal", "max_retry", "autostart", "working_dir", "uid", "gid",
    "singleton", "priority", "warmup_delay", "send_hup", "stop_children", "max_age", "max_age_variance",
)  # fmt: skip
PATIENCE = 30.0  # seconds


class Arbiter:
    """What the tests use of one."""

    _exclusive_running_command = None  # we have no such lock

    def __init__(self, worker: dict[str, Any], *, statsd: bool) -> None:
        """`statsd`: circus has a watcher `circusd-stats` then, and the tests look for it: one that does nothing."""
        self._statsd = {"circusd-stats": {"cmd": ["sleep", "1000"]}} if statsd else {}
        self.name = f"t-{secrets.token_hex(4)}"
        self._directory = Path(tempfile.mkdtemp())
        self._worker = worker
        self._process: subprocess.Popen[bytes] | None = None
        runtime = self._directory / "run" / self.name
        self.endpoint = f"ipc://{runtime}/control.sock"
        self.pubsub_endpoint = f"ipc://{runtime}/pubsub.sock"
        self._output = self._directory / "output"

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @tornado.gen.coroutine  # type: ignore[untyped-decorator]
    def start(self) -> Any:
        config = self._directory / "shop.yaml"
        watchers = {self._worker["name"]: self._watcher(), **self._statsd}
        config.write_text(json.dumps({"name": self.name, "watchers": watchers}))
        config.chmod(0o600)
        environment = {
            **os.environ,
            "CIRCUS_CG_ROOT": "/",
            "CIRCUS_CG_RUNTIME_DIR": str(self._directory / "run"),
            "CIRCUS_CG_STATE_DIR": str(self._directory / "state"),
        }
        with (self._directory / "log").open("wb") as log:
            self._process = subprocess.Popen([PROGRAM, "run", str(config)], env=environment, stdout=log, stderr=log)
        self._wait_ready()
        self._feed()
        return ()

    def stop(self) -> None:
        """Leaves nothing."""
        if self._process is not None:
            self._process.send_signal(signal.SIGTERM)
            self._process.wait(PATIENCE)
        shutil.rmtree(self._directory, ignore_errors=True)

    def iter_watchers(self) -> tuple[()]:
        return ()  # they need not be removed one by one

    @tornado.gen.coroutine  # type: ignore[untyped-decorator]
    def _emergency_stop(self) -> Any:
        self.stop()
        return ()

    def _watcher(self) -> dict[str, Any]:
        worker = self._worker
        watcher = {key: worker[key] for key in OURS if key in worker}
        watcher["cmd"] = [worker["cmd"], *worker.get("args", [])]
        watcher["env"] = {key: str(value).replace("$", "") for key, value in worker.get("env", {}).items()}
        if not worker.get("respawn", True):
            watcher["restart"] = "never"
        if "stop_signal" in watcher:
            watcher["stop_signal"] = int(watcher["stop_signal"])
        if worker.get("stdout_stream"):
            watcher["stdout"] = str(self._output)
        return watcher

    def _wait_ready(self) -> None:
        """Of itself it starts as circus does: the test goes on when the first processes are there."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            assert self.running, (self._directory / "log").read_text()
            client = CircusClient(endpoint=self.endpoint, timeout=1.0)
            try:
                if client.send_message("wait", state="up", name=self._worker["name"])["status"] == "ok":
                    return
            except Exception:
                time.sleep(0.05)  # it is not there yet
            finally:
                client.stop()
        raise TimeoutError("the daemon does not answer")

    def _feed(self) -> None:
        """What the workers write, to the stream that the test looks into."""
        stream = (self._worker.get("stdout_stream") or {}).get("stream")
        if stream is None:
            return

        def read() -> None:
            with self._output.open("rb") as output:
                while self.running:
                    if chunk := output.read():
                        stream({"data": chunk, "pid": 0, "name": "stdout"})
                    else:
                        time.sleep(0.02)

        self._output.touch(mode=0o600)
        threading.Thread(target=read, daemon=True).start()


@pytest.fixture(autouse=True)
def _ours(monkeypatch: pytest.MonkeyPatch) -> None:
    from tests import support  # type: ignore[attr-defined]  # noqa: PLC0415 - circus's, where this is loaded

    real = support.TestCircus._create_circus.__func__

    def create(cls: Any, callable_path: str, *args: Any, **kw: Any) -> Any:
        def factory(workers: list[dict[str, Any]], **more: Any) -> Arbiter:
            return Arbiter(workers[0], statsd=more.get("statsd", False))

        monkeypatch.setattr(support.TestCircus, "arbiter_factory", staticmethod(factory))
        return real(cls, callable_path, *args, **kw)

    monkeypatch.setattr(support.TestCircus, "_create_circus", classmethod(create))
