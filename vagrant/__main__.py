"""./dev vm [v2|v1|hybrid|all] [--keep] [--brief | PYTEST ARGUMENTS]: the functional tests in a booted Debian 12 guest.

--brief runs the boots and tests/functional/system alone: only a booted guest can do these.

Its last lines are pytest's counts, one for each machine. Exit status: pytest's own; 124 when the tests took too long;
125 when the guest could not be built, booted or reached (tried twice): no test is to blame then. All of it happens in
namespaces of their own (pid, mount, network): libvirtd, its bridge and the guest end with them, however this ends.
Standard library only.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from types import FrameType
from typing import TextIO

from vagrant import verdict
from vagrant.box import ensure_box
from vagrant.bundle import PROJECT, Infrastructure, cache, make_bundle, make_wheels, say
from vagrant.verdict import NEVER_RAN

LAYOUTS = ("v2", "v1", "hybrid")
OPTIONS = {"--keep", "--brief"}
RESULTS = PROJECT / "build/vm"
NAMESPACES = ["--net", "--mount", "--pid", "--fork", "--kill-child=SIGKILL", "--mount-proc", "--propagation=private"]


def main(arguments: list[str]) -> int:
    if {"-h", "--help"} & {*arguments}:
        print(__doc__)
        return 0
    layouts, options, pytest_arguments = parsed(arguments)
    if why := refused(options, pytest_arguments):
        say(why)
        return 2
    if os.geteuid() != 0:
        say("cannot run guests: this needs root (namespaces, libvirtd); try sudo ./dev vm")
        return NEVER_RAN
    signal.signal(signal.SIGTERM, _interrupt)
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # nohup
        signal.signal(signal.SIGHUP, _interrupt)
    try:
        with (cache() / "lock").open("w") as lock:
            _wait_for(lock)
            statuses = {each: tried_twice(each, partial(_run, each, options, pytest_arguments)) for each in layouts}
    except KeyboardInterrupt:
        say("interrupted; everything was taken down")
        return 130
    for layout, status in statuses.items():
        print(verdict.summary(layout, results_of(layout), status), flush=True)
    return verdict.worst([*statuses.values()])


def parsed(arguments: list[str]) -> tuple[tuple[str, ...], set[str], list[str]]:
    """(machines, our own options, pytest's arguments)"""
    pytest_arguments = [argument for argument in arguments if argument not in OPTIONS]
    layouts: tuple[str, ...] = ("v2",)
    if pytest_arguments and pytest_arguments[0] in (*LAYOUTS, "all"):
        named = pytest_arguments.pop(0)
        layouts = LAYOUTS if named == "all" else (named,)
    return layouts, OPTIONS & {*arguments}, pytest_arguments


def refused(options: set[str], pytest_arguments: list[str]) -> str | None:
    """Why no guest is booted for these."""
    if "--brief" in options and pytest_arguments:
        return "cannot be brief about tests that were named: leave out --brief, or the names"
    first = pytest_arguments[0] if pytest_arguments else "-"
    if not first.startswith("-") and not (PROJECT / first.partition("::")[0]).exists():
        return f"cannot run {first!r}: neither a machine ({', '.join(LAYOUTS)}, all) nor a file or directory of tests"
    return None


def _wait_for(lock: TextIO) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        say("another guest is running on this machine; waiting for its end")
        fcntl.flock(lock, fcntl.LOCK_EX)


def tried_twice(layout: str, attempt: Callable[[], int]) -> int:
    """The attempt's status; the guest's own failure, and nothing else, is worth a second one."""
    first = RESULTS / f"{layout}-first"  # what the first attempt left, if there is a second one
    shutil.rmtree(first, ignore_errors=True)
    for last in (False, True):
        try:
            status = attempt()
        except Infrastructure as failed:
            say(f"{failed}")
            status = NEVER_RAN
        if status != NEVER_RAN:
            return status
        say(f"the {layout} guest failed, not a test of it" + ("" if last else "; once more, from a fresh guest"))
        shutil.rmtree(_kept(layout), ignore_errors=True)
        if not last:
            with suppress(FileNotFoundError):
                results_of(layout).rename(first)
    return NEVER_RAN


def _run(layout: str, options: set[str], pytest_arguments: list[str]) -> int:
    keep = "--keep" in options
    box = ensure_box(make_wheels())
    state = _kept(layout)
    current = f"{box.name}\n"
    if not (keep and (state / "snapshot").exists() and (state / "made-from").read_text() == current):
        shutil.rmtree(state, ignore_errors=True)
        state.mkdir(parents=True, mode=0o700)
        (state / "made-from").write_text(current)
    (state / verdict.FILE).unlink(missing_ok=True)
    results = results_of(layout)
    shutil.rmtree(results, ignore_errors=True)
    results.mkdir(parents=True)
    make_bundle(state / "bundle")
    command = ["setpriv", "--pdeathsig", "KILL", "unshare", *NAMESPACES, sys.executable, "-m", "vagrant.inside"]
    command += [layout, str(box), str(state), str(results), "keep" if keep else "fresh"]
    command += ["brief" if "--brief" in options else "whole", *pytest_arguments]
    # A session of its own: Ctrl-C is for us alone, and we end the whole pid namespace.
    inside = subprocess.Popen(command, cwd=PROJECT, stdin=subprocess.DEVNULL, start_new_session=True)
    try:
        ended = inside.wait()
        status = verdict.written(state)
    finally:
        with suppress(ProcessLookupError):
            inside.kill()
        inside.wait()
        if not keep:
            shutil.rmtree(state, ignore_errors=True)
    if status is None:
        raise Infrastructure(f"what ran the {layout} guest ended without a verdict, with status {ended}")
    return status


def results_of(layout: str) -> Path:
    return RESULTS / layout


def _kept(layout: str) -> Path:
    return cache() / "guests" / layout


def _interrupt(signum: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
