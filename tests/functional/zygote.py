"""`circus-cg` without Python's start: a process that has imported it forks one that runs the command.

Tests start hundreds of daemons and ask them thousands of times, and most of such a command is the interpreter's start
and imports, a second or two in a guest. What runs is the installed program's own code, in a process, environment and
directory of its own. Started as a script, this is that process.
"""

from __future__ import annotations

import array
import importlib
import json
import os
import pkgutil
import select
import selectors
import signal
import socket
import subprocess
import sys
import time
import traceback
from typing import Any, NoReturn

LONGEST = 1 << 20  # bytes of a request
# By the process that started it: tests may fork.
_running: dict[int, tuple[subprocess.Popen[bytes], socket.socket]] = {}


class Started:
    """What subprocess.Popen has for a process that goes on: its output goes to `output`, an open file."""

    def __init__(self, argv: list[str], environment: dict[str, str], output: int) -> None:
        self._argv = argv
        self._news, told = os.pipe()
        try:
            _send(argv, environment, [output, output, told])
        finally:
            os.close(told)
        self.returncode: int | None = None
        self._told = b""
        while b" " not in self._told:
            self._hear(None)
        self.pid = int(self._told.split()[0])

    def poll(self) -> int | None:
        return self._end(0.0)

    def wait(self, timeout: float | None = None) -> int:
        """Raises subprocess.TimeoutExpired."""
        status = self._end(timeout)
        if status is None:
            assert timeout is not None
            raise subprocess.TimeoutExpired(self._argv, timeout)
        return status

    def send_signal(self, signum: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, signum)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def _end(self, timeout: float | None) -> int | None:
        deadline = None if timeout is None else time.monotonic() + timeout
        while self.returncode is None:
            if not self._hear(None if deadline is None else max(0.0, deadline - time.monotonic())):
                return None
        return self.returncode

    def _hear(self, timeout: float | None) -> bool:
        """False: nothing new in time."""
        if not select.select([self._news], [], [], timeout)[0]:
            return False
        new = os.read(self._news, 1 << 10)
        self._told += new
        if not new:
            os.close(self._news)
            pid, _, code = self._told.decode().partition(" ")
            assert code, f"the process that runs commands died; its last was {pid}: {self._argv}"
            self.returncode = int(code)
        return True


def run(argv: list[str], environment: dict[str, str], seconds: float) -> subprocess.CompletedProcess[str]:
    """As subprocess.run with its output captured: argv[0] is the program's name only. Raises TimeoutExpired."""
    pipes = [os.pipe() for _ in range(3)]  # stdout, stderr; pid and, once it has ended, its status
    try:
        _send(argv, environment, [writing for _, writing in pipes])
    finally:
        for _, writing in pipes:
            os.close(writing)
    out, err, status = _read_all([reading for reading, _ in pipes], argv, seconds)
    pid, _, code = status.decode().partition(" ")
    assert code, f"the process that runs commands died; its last was {pid}: {argv}"
    return subprocess.CompletedProcess(argv, int(code), out.decode(errors="replace"), err.decode(errors="replace"))


def _send(argv: list[str], environment: dict[str, str], fds: list[int]) -> None:
    request = json.dumps({"argv": argv, "environment": environment, "cwd": os.getcwd()}).encode()
    us = os.getpid()
    if us not in _running or _running[us][0].poll() is not None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, LONGEST)
        command = [sys.executable, "-P", __file__, str(theirs.fileno())]
        server = subprocess.Popen(command, stdin=subprocess.DEVNULL, pass_fds=[theirs.fileno()])
        theirs.close()
        _running[us] = server, ours
    rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))]
    _running[us][1].sendmsg([request], rights)


def _read_all(fds: list[int], argv: list[str], seconds: float) -> list[bytes]:
    deadline = time.monotonic() + seconds
    found = {fd: b"" for fd in fds}
    with selectors.DefaultSelector() as waiting:
        for fd in fds:
            waiting.register(fd, selectors.EVENT_READ)
        try:
            while waiting.get_map():
                ready = waiting.select(max(0.0, deadline - time.monotonic()))
                if not ready:
                    if begun := found[fds[2]].split():
                        os.kill(int(begun[0]), signal.SIGKILL)
                    raise subprocess.TimeoutExpired(argv, seconds, found[fds[0]], found[fds[1]])
                for key, _ in ready:
                    if new := os.read(key.fd, 1 << 16):
                        found[key.fd] += new
                    else:
                        waiting.unregister(key.fd)
        finally:
            for fd in fds:
                os.close(fd)
    return [found[fd] for fd in fds]


# -- the process ---------------------------------------------------------------------------------------


def serve(control: socket.socket) -> None:
    entry = importlib.import_module("circus_cg.__main__").main
    for package in ("circus_cg.cli", "circus_cg.cli.ctl", "circus_cg.config", "circus_cg.rpc"):
        found = importlib.import_module(package)
        for module in pkgutil.iter_modules(found.__path__, f"{package}."):
            importlib.import_module(module.name)
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    signal.set_wakeup_fd(writing)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    told: dict[int, int] = {}  # where whose status goes
    with selectors.DefaultSelector() as waiting:
        waiting.register(control, selectors.EVENT_READ)
        waiting.register(reading, selectors.EVENT_READ)
        while True:
            for key, _ in waiting.select():
                if key.fd == reading:
                    os.read(reading, 4096)
                elif not _begin(control, entry, told):
                    return
            _reap(told)


def _begin(control: socket.socket, entry: Any, told: dict[int, int]) -> bool:
    """False: whoever asked is gone."""
    body, rights, _, _ = control.recvmsg(LONGEST, socket.CMSG_SPACE(3 * 4))
    if not body:
        return False
    fds = array.array("i")
    for _, _, data in rights:
        fds.frombytes(data)
    pid = os.fork()
    if pid == 0:
        _become(json.loads(body), fds, entry)
    os.close(fds[0])
    os.close(fds[1])
    os.write(fds[2], f"{pid} ".encode())
    told[pid] = fds[2]
    return True


def _reap(told: dict[int, int]) -> None:
    while told:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid == 0:
            return
        fd = told.pop(pid)
        os.write(fd, str(os.waitstatus_to_exitcode(status)).encode())
        os.close(fd)


def _become(request: dict[str, Any], fds: array.array[int], entry: Any) -> NoReturn:
    """As the interpreter does with a script, but for what its end would clear away."""
    code = 1
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.dup2(fds[0], 1)
        os.dup2(fds[1], 2)
        os.closerange(3, max(fds) + 64)
        os.chdir(request["cwd"])
        os.environ.clear()
        os.environ.update(request["environment"])
        sys.argv = request["argv"]
        sys.orig_argv = [sys.executable, *sys.argv]
        entry()
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
        if code and not isinstance(end.code, int):
            print(end.code, file=sys.stderr)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    serve(socket.socket(fileno=int(sys.argv[1])))
