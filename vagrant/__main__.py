"""./dev vm [v2|v1|hybrid|all] [--keep] [--brief | PYTEST ARGUMENTS]: the functional tests in a booted Debian 12 guest.

--brief runs the boots and tests/functional/system alone: only a booted guest can do these.

Its last line is pytest's summary. Exit status: pytest's own; 124 when the tests took too long; 125 when the guest could
not be built, booted or reached (tried twice): no test is to blame then. All of it happens in namespaces of their own
(pid, mount, network): libvirtd, its bridge and the guest end with them, however this ends. Standard library only.
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

from vagrant.box import ensure_box
from vagrant.bundle import PROJECT, Infrastructure, cache, make_bundle, make_wheels, say

LAYOUTS = ("v2", "v1", "hybrid")
OPTIONS = {"--keep", "--brief"}
NEVER_RAN = 125
NAMESPACES = ["--net", "--mount", "--pid", "--fork", "--kill-child=SIGKILL", "--mount-proc", "--propagation=private"]


def main(arguments: list[str]) -> int:
    layouts, options, pytest_arguments = parsed(arguments)
    if "--brief" in options and pytest_arguments:
        say("cannot be brief about tests that were named: leave out --brief, or the names")
        return 2
    if os.geteuid() != 0:
        say("cannot run guests: this needs root (namespaces, libvirtd); try sudo ./dev vm")
        return NEVER_RAN
    signal.signal(signal.SIGTERM, _interrupt)
    signal.signal(signal.SIGHUP, _interrupt)
    with (cache() / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("another guest is running on this machine; waiting for its end")
            fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            statuses = [tried_twice(layout, partial(_run, layout, options, pytest_arguments)) for layout in layouts]
        except KeyboardInterrupt:
            say("interrupted; everything was taken down")
            return 130
    return max(statuses)


def parsed(arguments: list[str]) -> tuple[tuple[str, ...], set[str], list[str]]:
    """(machines, our own options, pytest's arguments)"""
    layouts: tuple[str, ...] = ("v2",)
    if arguments and arguments[0] in (*LAYOUTS, "all"):
        layouts = LAYOUTS if arguments[0] == "all" else (arguments[0],)
        arguments = arguments[1:]
    return layouts, OPTIONS & {*arguments}, [argument for argument in arguments if argument not in OPTIONS]


def tried_twice(layout: str, attempt: Callable[[], int]) -> int:
    """The attempt's status; the guest's own failure, and nothing else, is worth a second one."""
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
    results = PROJECT / "build/vm" / layout
    shutil.rmtree(results, ignore_errors=True)
    results.mkdir(parents=True)
    make_bundle(state / "bundle")
    command = ["setpriv", "--pdeathsig", "KILL", "unshare", *NAMESPACES, sys.executable, "-m", "vagrant.inside"]
    command += [layout, str(box), str(state), str(results), "keep" if keep else "fresh"]
    command += ["brief" if "--brief" in options else "whole", *pytest_arguments]
    # A session of its own: Ctrl-C is for us alone, and we end the whole pid namespace.
    inside = subprocess.Popen(command, cwd=PROJECT, stdin=subprocess.DEVNULL, start_new_session=True)
    try:
        return inside.wait()
    finally:
        with suppress(ProcessLookupError):
            inside.kill()
        inside.wait()
        if not keep:
            shutil.rmtree(state, ignore_errors=True)


def _kept(layout: str) -> Path:
    return cache() / "guests" / layout


def _interrupt(signum: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
