"""The part of `./dev vm` that lives in the namespaces: libvirtd, the guest, the tests in it.

`python -m vagrant.inside LAYOUT BOX STATE RESULTS keep|fresh brief|whole [PYTEST ARGUMENTS]`, by vagrant.__main__.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import time
import traceback
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from vagrant.bundle import PROJECT, Infrastructure, run, say
from vagrant.guest import LOST, Guest

TIMED_OUT, NEVER_RAN = 124, 125
DEADLINE = float(os.environ.get("CIRCUS_CG_GUEST_DEADLINE", "3600"))  # seconds for one run of pytest
QEMU_CONF = """
security_driver = "none"
cgroup_controllers = []
user = "root"
group = "root"
remember_owner = 0
namespaces = []
stdio_handler = "file"
"""
PYTHON = "/opt/circus-cg/bin/python"
TESTS, SYSTEM = "tests/functional", "tests/functional/system"
BOOTS = f"{SYSTEM}/test_boots.py"
AT_ONCE = ["--dist", "worksteal", "-n"]  # each test has a daemon, groups and files of its own
MOSTLY_WAITING, A_CPU_EACH = "3", "auto"
RESULTS = "/var/tmp/results"


def main(arguments: list[str]) -> int:
    """Process 1 of the namespace only reaps: libvirtd waits for its daemons' pids to vanish."""
    worker = os.fork()
    if worker == 0:
        os._exit(_main(arguments))
    while True:
        pid, status = os.wait()
        if pid == worker:
            return os.waitstatus_to_exitcode(status)


class Job(NamedTuple):
    layout: str
    box: Path
    state: Path
    results: Path
    keep: bool
    brief: bool
    pytest_arguments: list[str]


def _main(arguments: list[str]) -> int:
    layout, box, state, results, keep, brief, *pytest_arguments = arguments
    job = Job(layout, Path(box), Path(state), Path(results), keep == "keep", brief == "brief", pytest_arguments)
    try:
        _private_host(job.state)
        _start_libvirtd(job.state)
        guest = Guest(layout, job.box, job.state)
        try:
            _bring_up(guest, job)
            return _visits(guest, job)
        finally:
            with suppress(OSError):  # it never came so far
                shutil.copy(job.state / "console", job.results / "console.txt")
            guest.destroy()
    except Infrastructure as failed:
        say(str(failed))
        return NEVER_RAN
    except subprocess.TimeoutExpired:
        say(f"the tests were still running after {DEADLINE:g} s")
        return TIMED_OUT
    except BaseException:
        traceback.print_exc()
        return NEVER_RAN


def _bring_up(guest: Guest, job: Job) -> None:
    if guest.kept:
        guest.resume()
    else:
        guest.up()
        if job.keep:
            guest.keep()
    began = time.monotonic()
    guest.send(job.state / "bundle/vagrant", "/vagrant")
    guest.root("sh /vagrant/vagrant/provision.sh project", "install the project")
    say(f"the project took {time.monotonic() - began:.0f} s")


def _visits(guest: Guest, job: Job) -> int:
    try:
        wanted = job.pytest_arguments
        statuses = [] if wanted and BOOTS not in wanted else _boots(guest)
        if not wanted:
            units = [SYSTEM, f"--ignore={BOOTS}", "-m"]
            statuses.append(_pytest(guest, "alone", [*units, "alone"]))
            # Apart from the rest, whose groups are at the hierarchies' roots: systemd changes what those offer.
            statuses.append(_pytest(guest, "system", [*AT_ONCE, MOSTLY_WAITING, *units, "not alone"]))
            if not job.brief:
                statuses.append(_pytest(guest, "suite", [*AT_ONCE, A_CPU_EACH, TESTS, f"--ignore={SYSTEM}"]))
        elif wanted != [BOOTS]:
            named = [word for word in wanted if (PROJECT / word.partition("::")[0]).exists()]
            statuses.append(_pytest(guest, "suite", wanted + ([] if named else [TESTS])))
        return max(statuses)
    finally:
        guest.root(f"mkdir -p {RESULTS}; journalctl -b >{RESULTS}/journal.txt; dmesg >{RESULTS}/dmesg.txt", "get logs")
        guest.fetch(RESULTS, job.results)


def _boots(guest: Guest) -> list[int]:
    """What can only be seen across boots is asked in three visits; the power goes off between the last two."""
    first = _pytest(guest, "before", [BOOTS])
    guest.reboot()
    second = _pytest(guest, "rebooted", [BOOTS])
    guest.power_cut()
    return [first, second, _pytest(guest, "power-cut", [BOOTS])]


def _pytest(guest: Guest, visit: str, arguments: list[str]) -> int:
    exported = {
        "CIRCUS_CG_EXPECT_LAYOUT": guest.layout,
        "CIRCUS_CG_VISIT": visit,
        "CIRCUS_CG_STRICT": "1" if guest.layout == "v2" else os.environ.get("CIRCUS_CG_STRICT", ""),
        "CIRCUS_CG_TEST_SLOWNESS": os.environ.get("CIRCUS_CG_TEST_SLOWNESS", "4" if guest.is_emulated() else "1"),
    }
    lines = [f"export {name}={shlex.quote(value)}" for name, value in exported.items()]
    junit = f"--junitxml={RESULTS}/{visit}.xml"
    command = [PYTHON, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--durations=20", junit, *arguments]
    command += ["-o", "junit_logging=system-out", "-o", "junit_log_passing_tests=False"]
    lines += [f"mkdir -p {RESULTS}", "cd /vagrant", f"exec {shlex.join(command)}"]
    began = time.monotonic()
    status = guest.follow("\n".join(lines), DEADLINE)
    say(f"{guest.layout}: {visit} took {time.monotonic() - began:.0f} s, status {status}")
    if status == LOST:
        raise Infrastructure(f"the connection to the {guest.layout} guest was lost during the tests")
    return status


def _private_host(state: Path) -> None:
    """libvirt's directories are `state`'s from here on, /run and the network are empty: nothing reaches the host's."""
    run(["mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", "/run"], "mount a private /run")
    run(["mount", "-t", "sysfs", "sysfs", "/sys"], "mount a /sys of this network namespace")
    run(["ip", "link", "set", "lo", "up"], "bring the loopback device up")
    for place in ("/etc/libvirt", "/var/lib/libvirt", "/var/cache/libvirt", "/var/log/libvirt"):
        private = state / place.strip("/").replace("/", "-")
        if not private.exists():
            if place == "/etc/libvirt":
                shutil.copytree(place, private)
                with (private / "qemu.conf").open("a") as file:
                    file.write(QEMU_CONF)
            else:
                private.mkdir(mode=0o711)
        Path(place).mkdir(parents=True, exist_ok=True)
        run(["mount", "--bind", str(private), place], f"mount a private {place}")
    for directory in ("dnsmasq", "qemu", "images"):
        Path("/var/lib/libvirt", directory).mkdir(mode=0o755, exist_ok=True)


def _start_libvirtd(state: Path) -> None:
    """It ends with the pid namespace, like everything it starts."""
    log = state / "libvirtd.log"
    with log.open("w") as out:
        subprocess.Popen(["libvirtd"], stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True)
    deadline = time.monotonic() + 60
    while True:
        command = ["virsh", "-q", "-c", "qemu:///system", "version"]
        if subprocess.run(command, check=False, capture_output=True).returncode == 0:
            return
        if time.monotonic() > deadline:
            raise Infrastructure(f"cannot start libvirtd:\n{log.read_text()[-2000:]}")
        time.sleep(0.2)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
