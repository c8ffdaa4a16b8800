"""Four watchers, each in its group; the arbiter is killed half-way. Exits 0 only if all kept their promise.

It runs in a daemon of its own name with directories of its own, and leaves nothing behind.
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

Row = dict[str, Any]
PROGRAM = [sys.executable, "-m", "circus_cg"]

CONFIG = """\
# Four watchers; each worker has a cgroup of its own, made before its first instruction.
name: {name}
cgroup_root: /              # our groups begin at the root of each hierarchy
watchers:
  web:                      # a web server: up all the time, whatever the others do
    cmd: [{python}, -m, http.server, --bind, 127.0.0.1, "{port}"]
    working_dir: {home}
    stdout: "null"
    stderr: "null"
    limits: {{memory_max: 128M, pids_max: 20}}
  crasher:                  # exits after a moment: restarted, later and later
    cmd: ["/bin/sh", "-c", "sleep 0.3; exit 7"]
    backoff: {{initial: 500ms, max: 4s}}
    flapping: {{attempts: 0}}
  hog:                      # takes memory without end: the kernel stops it at 64M, and only it
    cmd: [{python}, -c, "import time\\nb = []\\nwhile True: b.append(bytearray(1 << 20)); time.sleep(0.01)"]
    limits: {{memory_max: 64M}}
    backoff: {{initial: 1s}}
    flapping: {{attempts: 0}}
  burner:                   # burns CPU: a fifth of a core is all it gets
    cmd: ["/bin/sh", "-c", "while :; do :; done"]
    limits: {{cpu_max: 0.2}}
"""


class Demonstration:
    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.home = Path(tempfile.mkdtemp(prefix="circus-cg-demo-"))
        self.name = f"demo-{secrets.token_hex(3)}"
        self.port = free_port()
        self.environment = {
            **os.environ,
            "CIRCUS_CG_RUNTIME_DIR": str(self.home / "run"),
            "CIRCUS_CG_STATE_DIR": str(self.home / "state"),
        }
        self.log = self.home / "daemon.log"
        self.process: subprocess.Popen[bytes] | None = None
        self.asked = self.answered = 0
        self.kept: dict[str, bool] = {}

    def run(self) -> bool:
        config = self.home / "demo.yaml"
        config.touch(mode=0o600)
        config.write_text(CONFIG.format(name=self.name, python=sys.executable, home=self.home, port=self.port))
        print(f"circus-cg demo: {self.seconds:g} s; the configuration:\n\n{config.read_text()}")
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [*PROGRAM, "run", str(config)], env=self.environment, stdout=log, stderr=log
            )
        try:
            self._wait_for("the web server", self._web_answers, 20)
            self.watch()
            self.judge()
        finally:
            self.stop()
        return all(self.kept.values())

    def watch(self) -> None:
        begun = time.monotonic()
        killed = False
        while (elapsed := time.monotonic() - begun) < self.seconds:
            self.asked += 1
            self.answered += self._web_answers()
            if not killed and elapsed >= self.seconds / 2:
                killed = True
                self.kill_arbiter()
            show(self.workers(), elapsed)
            time.sleep(1.0)

    def kill_arbiter(self) -> None:
        before = {row["watcher"]: row["pid"] for row in self.workers()}
        arbiter = arbiter_of(self.process.pid if self.process else 0)
        if arbiter is None:
            self.kept["the arbiter was killed half-way"] = False
            return
        print(f"\n--- kill -9 of the arbiter (pid {arbiter}); its workers go on\n")
        os.kill(arbiter, signal.SIGKILL)
        self._wait_for("the next arbiter", lambda: arbiter_of(self.process.pid if self.process else 0) != arbiter, 10)
        after = {row["watcher"]: row["pid"] for row in self.workers()}
        steady = all(after[name] == before[name] for name in ("web", "burner"))
        self.kept["the arbiter was killed and no steady worker noticed"] = steady

    def judge(self) -> None:
        rows = {row["watcher"]: row for row in self.workers()}
        web, crasher, hog, burner = (rows[name] for name in ("web", "crasher", "hog", "burner"))
        self.kept["web answered every request and was never restarted"] = (
            self.answered == self.asked and web["restarts"] == 0
        )
        last = crasher["last_exit"] or {}
        self.kept["crasher was restarted, its status 7 on record"] = crasher["restarts"] >= 1 and last.get("code") == 7
        last = hog["last_exit"] or {}
        self.kept["hog was OOM-killed at its own limit of 64M"] = last.get("reason") == "oom"
        share = burner["cpu_seconds"] / max(0.1, time.time() - burner["started"])
        self.kept[f"burner got its fifth of a core and no more ({share:.2f})"] = 0.1 < share < 0.26
        own = {row["cgroup"] for row in rows.values() if row["cgroup"]}
        in_groups = len(own) == sum(1 for row in rows.values() if row["cgroup"]) and self._groups_are_real(rows)
        self.kept["each worker is in a group of its own"] = in_groups

    def stop(self) -> None:
        if self.process is None:
            return
        self.process.terminate()
        status = self.process.wait(60)
        left = [
            path
            for mount in Path("/sys/fs/cgroup").glob("*")
            for path in [mount / "circus-cg" / self.name]
            if path.exists()
        ]
        self.kept["it stopped cleanly and left no group behind"] = status == 0 and not left
        print()
        for promise, kept in self.kept.items():
            print(f"{'kept  ' if kept else 'BROKEN'}  {promise}")
        if not all(self.kept.values()):
            print(f"\n--- what the daemon wrote\n{self.log.read_text(errors='replace')[-6000:]}")
        shutil.rmtree(self.home, ignore_errors=True)

    def workers(self) -> list[Row]:
        command = [*PROGRAM, "ctl", "--name", self.name, "ps", "--json"]
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise SystemExit(f"demo: {done.stderr}\n{self.log.read_text(errors='replace')[-6000:]}")
        workers: list[Row] = json.loads(done.stdout)["workers"]
        return workers

    def _groups_are_real(self, rows: dict[str, Row]) -> bool:
        return all(
            row["cgroup"] in Path(f"/proc/{row['pid']}/cgroup").read_text()
            for row in rows.values()
            if row["phase"] == "ready"
        )

    def _web_answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/", timeout=2) as reply:
                return bool(reply.status == 200)
        except (urllib.error.URLError, OSError):
            return False

    def _wait_for(self, what: str, condition: Callable[[], bool], seconds: float) -> None:
        end = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > end or (self.process is not None and self.process.poll() is not None):
                raise SystemExit(f"demo: waited in vain for {what}\n{self.log.read_text(errors='replace')}")
            time.sleep(0.05)


def show(rows: list[Row], elapsed: float) -> None:
    print(
        f"{elapsed:5.1f} s  {'WATCHER':9}{'PHASE':10}{'PID':>7}  {'RESTARTS':>8}  {'MEMORY':>9}  {'CPU':>7}  LAST EXIT"
    )
    for row in rows:
        memory = "-" if row["memory_current"] is None else f"{row['memory_current'] / (1 << 20):.1f}M"
        cpu = "-" if row["cpu_seconds"] is None else f"{row['cpu_seconds']:.2f}s"
        last = row["last_exit"]
        why = (
            "-" if last is None else f"{last['reason']} {last['code'] if last['code'] is not None else last['signal']}"
        )
        pid = row["pid"] or "-"
        print(
            f"         {row['watcher']:9}{row['phase']:10}{pid:>7}  {row['restarts']:>8}  {memory:>9}  {cpu:>7}  {why}"
        )


def arbiter_of(keeper: int) -> int | None:
    for entry in filter(str.isdigit, os.listdir("/proc")):
        try:
            parent = int(Path(f"/proc/{entry}/stat").read_text().rpartition(")")[2].split()[1])
            if parent == keeper and "circus_cg.arbiter" in Path(f"/proc/{entry}/cmdline").read_text():
                return int(entry)
        except (FileNotFoundError, ProcessLookupError):
            continue
    return None


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def main() -> None:
    parser = argparse.ArgumentParser(prog="./dev demo", description=__doc__)
    parser.add_argument("--seconds", type=float, default=20.0, help="how long to watch (default 20, at least 8)")
    asked = parser.parse_args()
    if os.geteuid() != 0:
        raise SystemExit("demo: cannot make cgroups: run it as root (or in a delegated subtree)")
    sys.exit(0 if Demonstration(max(8.0, asked.seconds)).run() else 1)


if __name__ == "__main__":
    main()
