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

from vagrant import verdict
from vagrant.bundle import Infrastructure, run, say
from vagrant.guest import LOST, Guest
from vagrant.verdict import NEVER_RAN, TIMED_OUT

DEADLINE = float(os.environ.get("CIRCUS_CG_GUEST_DEADLINE", "3600"))  # seconds for one run of pytest
# Nothing of the host's: what it had defined (pools, networks) would be found by Vagrant, and not work here.
LIBVIRTD_CONF = """
auth_unix_ro = "none"
auth_unix_rw = "none"
"""
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
RESULTS = "/run/circus-cg-results"  # in memory: no full disk and no power cut takes them


class TooLong(Exception):
    """The tests were still running at their deadline."""


def main(arguments: list[str]) -> int:
    """Process 1 of the namespace only reaps: libvirtd waits for its daemons' pids to vanish."""
    worker = os.fork()
    if worker == 0:
        job = job_of(arguments)
        status = _main(job)
        (job.state / verdict.FILE).write_text(str(status))
        os._exit(status)
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


def job_of(arguments: list[str]) -> Job:
    layout, box, state, results, keep, brief, *pytest_arguments = arguments
    return Job(layout, Path(box), Path(state), Path(results), keep == "keep", brief == "brief", pytest_arguments)


def _main(job: Job) -> int:
    try:
        _private_host(job.state)
        _start_libvirtd(job.state)
        guest = Guest(job.layout, job.box, job.state)
        try:
            _bring_up(guest, job)
            return _visits(guest, job)
        finally:
            for log in (job.state / "console", job.state / "libvirtd.log", *job.state.glob("*/qemu/*.log")):
                with suppress(OSError):  # it never came so far
                    shutil.copy(log, job.results / f"{log.stem}.txt")
            guest.destroy()
    except Infrastructure as failed:
        say(str(failed))
        return NEVER_RAN
    except TooLong:
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
    wanted = job.pytest_arguments
    visits = _Visits(guest, job.results)
    try:
        if not wanted or BOOTS in wanted:
            _boots(guest, visits, [word for word in wanted if word != BOOTS])
        if not wanted:
            units = [SYSTEM, f"--ignore={BOOTS}", "-m"]
            visits.make("alone", [*units, "alone"])
            # Apart from the rest, whose groups are at the hierarchies' roots: systemd changes what those offer.
            visits.make("system", [*AT_ONCE, MOSTLY_WAITING, *units, "not alone"])
            if not job.brief:
                visits.make("suite", [*AT_ONCE, A_CPU_EACH, TESTS, f"--ignore={SYSTEM}"])
        elif BOOTS not in wanted:
            visits.make("suite", ["-o", f"testpaths={TESTS}", f"--ignore={BOOTS}", *wanted])
        return verdict.worst(visits.statuses)
    finally:
        visits.fetch("")


def _boots(guest: Guest, visits: _Visits, more: list[str]) -> None:
    """What can only be seen across boots is asked in three visits; the power goes off between the last two."""
    for visit, ended_by in (("before", guest.reboot), ("rebooted", guest.power_cut), ("power-cut", None)):
        visits.make(visit, [*more, BOOTS, "-m", f"visit(when={visit!r})"])  # none of them is a failure
        if ended_by is not None:
            visits.fetch(f"-{visit}")
            ended_by()


class _Visits:
    """Runs of pytest in the guest, and what they leave in `results`."""

    def __init__(self, guest: Guest, results: Path) -> None:
        self._guest = guest
        self._results = results
        self.statuses: list[int] = []

    def make(self, name: str, arguments: list[str]) -> None:
        """Raises Infrastructure when the guest was lost, TooLong."""
        guest = self._guest
        exported = {
            "CIRCUS_CG_EXPECT_LAYOUT": guest.layout,
            "CIRCUS_CG_VISIT": name,
            "CIRCUS_CG_STRICT": {"v2": "1", "v1": ""}.get(guest.layout, os.environ.get("CIRCUS_CG_STRICT", "")),
            "CIRCUS_CG_TEST_SLOWNESS": os.environ.get("CIRCUS_CG_TEST_SLOWNESS", "4" if guest.is_emulated() else "1"),
        }
        lines = [f"export {name}={shlex.quote(value)}" for name, value in exported.items()]
        command = [PYTHON, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--durations=20"]
        command += [f"--junitxml={RESULTS}/{name}.xml", "-o", "junit_logging=system-out"]
        command += ["-o", "junit_log_passing_tests=False", *arguments]
        # Not by exec: ssh's own status says that the connection was lost, and also that a signal ended the command.
        lines += [f"mkdir -p {RESULTS}", "cd /vagrant", shlex.join(command), "exit $?"]
        say(f"{guest.layout}: {name}")
        try:
            status = guest.follow("\n".join(lines), DEADLINE)
        except subprocess.TimeoutExpired as late:
            raise TooLong from late
        if status == LOST:
            raise Infrastructure(f"the connection to the {guest.layout} guest was lost during the tests")
        self.statuses.append(status)

    def fetch(self, boot: str) -> None:
        """This boot's reports and logs. What can't be had changes no verdict."""
        journal, kernel = f"{RESULTS}/journal{boot}.txt", f"{RESULTS}/dmesg{boot}.txt"
        try:
            self._guest.root(f"mkdir -p {RESULTS}; journalctl -b >{journal}; dmesg >{kernel}", "get logs", seconds=120)
            self._guest.fetch(RESULTS, self._results)
        except Infrastructure as failed:
            say(f"no logs: {failed}")


def _private_host(state: Path) -> None:
    """libvirt's directories are `state`'s from here on, /run and the network are empty: nothing reaches the host's."""
    run(["mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", "/run"], "mount a private /run")
    run(["mount", "-t", "sysfs", "sysfs", "/sys"], "mount a /sys of this network namespace")
    run(["ip", "link", "set", "lo", "up"], "bring the loopback device up")
    for place in ("/etc/libvirt", "/var/lib/libvirt", "/var/cache/libvirt", "/var/log/libvirt"):
        private = state / place.strip("/").replace("/", "-")
        private.mkdir(mode=0o711, exist_ok=True)
        Path(place).mkdir(parents=True, exist_ok=True)
        run(["mount", "--bind", str(private), place], f"mount a private {place}")
    Path("/etc/libvirt/libvirtd.conf").write_text(LIBVIRTD_CONF)
    Path("/etc/libvirt/qemu.conf").write_text(QEMU_CONF)
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
        with suppress(subprocess.TimeoutExpired):
            if subprocess.run(command, check=False, capture_output=True, timeout=60).returncode == 0:
                return
        if time.monotonic() > deadline:
            raise Infrastructure(f"cannot start libvirtd:\n{log.read_text()[-2000:]}")
        time.sleep(0.2)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
