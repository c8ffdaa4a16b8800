"""Run the functional tests in a User Mode Linux guest: `python tests/guest/uml.py v2|v1 [PYTEST ARGUMENTS]`.

The guest sees the host's files, read-only, has /tmp and /run of its own, and one cgroup layout: pure v2 or pure v1.
Standard library only. The exit status is pytest's; 124 when the guest didn't end in time, 125 when it never ran.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
MEMORY = "2G"  # taken as it is used
DEADLINE = float(os.environ.get("CIRCUS_CG_GUEST_DEADLINE", "3000"))  # seconds for the whole run
SLOWNESS = os.environ.get("CIRCUS_CG_TEST_SLOWNESS", "4")  # a system call costs many times the host's
TIMED_OUT, NEVER_RAN = 124, 125
# A guest is there for its cgroups, and has one slow CPU: what is the same in every layout runs natively and, with the
# whole suite, in the booted guests of ./dev vm.
THE_SAME_EVERYWHERE = (
    "circus_clients", "control", "library", "system", "test_circus_defects.py", "test_circus_ini.py",
    "test_configuration.py", "test_ctl_*.py", "test_daemon_options.py", "test_events.py", "test_exec.py",
    "test_health.py", "test_history.py", "test_max_age.py", "test_metrics.py", "test_order.py", "test_relief.py",
    "test_reload.py", "test_restart_policy.py", "test_top.py", "test_upgrade.py",
)  # fmt: skip


def main(arguments: list[str]) -> int:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # the guest goes with us
    match arguments:
        case ["v1" | "v2" as layout, *pytest_arguments]:
            pass
        case _:
            print(__doc__, file=sys.stderr)
            return 2
    kernel = shutil.which("linux.uml")
    if kernel is None:
        print("cannot boot a guest: no linux.uml; install user-mode-linux", file=sys.stderr)
        return NEVER_RAN
    if any(map(str.isspace, f"{PROJECT}{tempfile.gettempdir()}")):
        print(
            "cannot boot a guest: a kernel parameter holds no blanks; move the project or set TMPDIR", file=sys.stderr
        )
        return NEVER_RAN
    with tempfile.TemporaryDirectory(prefix="circus-cg-guest-") as results:
        return _boot(kernel, layout, pytest_arguments or those_of_layouts(), Path(results))


def _boot(kernel: str, layout: str, pytest_arguments: list[str], results: Path) -> int:
    (results / "command").write_text(_command(layout, pytest_arguments))
    command = [
        kernel,
        f"mem={MEMORY}",
        "rootfstype=hostfs",
        "ro",
        f"init={PROJECT / 'tests/guest/init.sh'}",
        f"LAYOUT={layout}",
        f"PROJECT={PROJECT}",
        f"RESULTS={results}",
        "con=null",
        "con0=fd:0,fd:1",
        "quiet",
    ]
    console = results / "console"
    environment = {**os.environ, **_completing_cpu_state(results)}
    with console.open("wb") as out:
        guest = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True, env=environment
        )
    in_time = _follow(guest, results / "log", time.monotonic() + DEADLINE)
    status = results / "status"
    if status.exists() and (text := status.read_text().strip()):
        return int(text)
    sys.stdout.write(console.read_text(errors="replace"))
    print(f"the {layout} guest " + ("ended without a result" if in_time else f"was still running after {DEADLINE:g} s"))
    return NEVER_RAN if in_time else TIMED_OUT


def _completing_cpu_state(results: Path) -> dict[str, str]:
    """What lets the guest's kernel run on CPUs with AMX; harmless on others, and left out without a compiler."""
    shim = results / "xstate.so"
    built = shutil.which("cc") and subprocess.run(
        ["cc", "-O2", "-shared", "-fPIC", "-o", str(shim), str(PROJECT / "tests/guest/xstate.c")], check=False
    )
    return {"LD_PRELOAD": str(shim)} if built and built.returncode == 0 else {}


def those_of_layouts() -> list[str]:
    """Pytest's arguments for what is not the same everywhere."""
    return ["tests/functional", *(f"--ignore-glob=tests/functional/{one}" for one in THE_SAME_EVERYWHERE)]


def _command(layout: str, pytest_arguments: list[str]) -> str:
    """What the guest's shell runs; a file, since a kernel parameter can't hold blanks."""
    exported = {
        "CIRCUS_CG_EXPECT_LAYOUT": layout,
        "CIRCUS_CG_STRICT": os.environ.get("CIRCUS_CG_STRICT", ""),
        "CIRCUS_CG_TEST_SLOWNESS": SLOWNESS,
    }
    lines = [f"export {name}={shlex.quote(value)}" for name, value in exported.items()]
    lines.append(
        shlex.join(["exec", sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *pytest_arguments])
    )
    return "\n".join(lines) + "\n"


def _follow(guest: subprocess.Popen[bytes], log: Path, deadline: float) -> bool:
    """Copy the growing log to our output until the guest has gone; False: it had to be killed at the deadline."""
    seen = 0
    try:
        while True:
            ended = guest.poll() is not None
            if log.exists():
                with log.open("rb") as lines:
                    lines.seek(seen)
                    new = lines.read()
                seen += len(new)
                sys.stdout.write(new.decode(errors="replace"))
                sys.stdout.flush()
            if ended or time.monotonic() > deadline:
                return ended
            time.sleep(0.2)
    finally:
        with contextlib.suppress(ProcessLookupError):  # its helper processes live in its session
            os.killpg(guest.pid, signal.SIGKILL)
        guest.wait()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
