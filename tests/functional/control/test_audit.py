"""The audit file is the keeper's to open: each arbiter is handed the one that is there when it begins."""

from __future__ import annotations

import os
import signal
import stat
from pathlib import Path

from tests.conftest import until
from tests.functional.control.afar import Afar
from tests.functional.control.conftest import StartAfar


def path_of(running: Afar) -> Path:
    return running.directory / "state" / running.daemon.name / "audit.log"


def handed(arbiter: int) -> str:
    """The file behind the descriptor that its command line names."""
    last = Path(f"/proc/{arbiter}/cmdline").read_bytes().split(b"\0")[-2]
    return os.readlink(f"/proc/{arbiter}/fd/{int(last)}")


def replaced(running: Afar) -> int:
    before = running.arbiter
    os.kill(before, signal.SIGKILL)
    return until(lambda: running.arbiter if running.arbiter != before else None, why="another arbiter") or 0


def test_the_next_arbiter_writes_the_file_that_is_there_then(afar: StartAfar) -> None:
    running = afar()
    path = path_of(running)
    running.daemon.ctl("incr", "web")
    assert handed(running.arbiter) == str(path)
    rotated = path.rename(path.with_name("audit.log.1"))
    arbiter = replaced(running)
    running.daemon.ctl("decr", "web")
    assert handed(arbiter) == str(path) and stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [line["command"] for line in running.audit] == ["decr"]
    assert '"incr"' in rotated.read_text() and '"decr"' not in rotated.read_text()


def test_a_file_that_can_not_be_trusted_is_not_written_and_the_log_says_so(afar: StartAfar) -> None:
    running = afar()
    path = path_of(running)
    elsewhere = path.with_name("elsewhere")
    elsewhere.write_text("")
    path.unlink()
    path.symlink_to(elsewhere)
    replaced(running)
    running.daemon.ctl("incr", "web")
    until(lambda: f"cannot open {path}: " in running.daemon.output, why="the log to say so")
    assert "commands go unaudited" in running.daemon.output
    assert elsewhere.read_text() == ""
