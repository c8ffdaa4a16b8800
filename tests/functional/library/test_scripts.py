"""Programs that start workers: they get what they were promised, and however they end, nothing of theirs is left."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from tests.conftest import SLOWNESS, until
from tests.functional.evidence import alive, children_of
from tests.functional.library.conftest import Program, trees

Noted = Callable[[], list[int]]
STARTED = 'trainer.start()\nnoted(3)\nprint("started")\n'
MAKE = "from circus_cg import get_trainer\ntrainer = get_trainer(CMD, 3, name=PREFIX)\n"


def gone(pids: list[int]) -> bool:
    return not any(alive(pid) for pid in pids)


def test_the_first_script_anybody_writes_works(program: Program, prefix: str) -> None:
    done = program(
        "from circus_cg import get_trainer\n"
        "trainer = get_trainer('sleep 100', 3, name=PREFIX)\n"
        "try:\n"
        "    trainer.start()\n"
        "    assert len(trainer.pids) == 3, trainer.pids\n"
        "    assert not trainer.wait(0.5)\n"
        "finally:\n"
        "    trainer.stop()\n"
    )
    _, errors = done.communicate(timeout=30 * SLOWNESS)
    assert (done.returncode, errors) == (0, "")
    assert not trees(prefix)


def test_the_documented_example_finds_the_worker_beside_it(program: Program, tmp_path: Path, noted: Noted) -> None:
    note = f"import os, time\nopen({str(tmp_path / 'pids')!r}, 'a').write(f'{{os.getpid()}}\\n')\ntime.sleep(1000)\n"
    (tmp_path / "worker.py").write_text(note)
    done = program(
        f"import os\nos.chdir({str(tmp_path)!r})\n"
        "from circus_cg import Limits, get_trainer\n"
        "with get_trainer('python3 worker.py', 3, name=PREFIX, limits=Limits(memory_max='64M')):\n"
        "    os.chdir('/')\n"
        "    noted(3)\n"
    )
    _, errors = done.communicate(timeout=30 * SLOWNESS)
    assert (done.returncode, errors) == (0, "")
    assert len(noted()) == 3 and gone(noted())


@pytest.mark.parametrize("ending", ["pass", "raise SystemExit(0)", "import sys; sys.exit()"])
def test_the_interpreters_end_stops_the_workers(program: Program, prefix: str, noted: Noted, ending: str) -> None:
    done = program(MAKE + "trainer.start()\nnoted(3)\n" + ending)
    _, errors = done.communicate(timeout=30 * SLOWNESS)
    assert (done.returncode, errors) == (0, "")
    assert len(noted()) == 3 and gone(noted())
    assert not trees(prefix)


def test_an_uncaught_exception_stops_the_workers_and_is_told(program: Program, prefix: str, noted: Noted) -> None:
    done = program(MAKE + "with trainer:\n    noted(3)\n    1 / 0\n")
    _, errors = done.communicate(timeout=30 * SLOWNESS)
    assert done.returncode == 1
    assert "ZeroDivisionError" in errors
    assert len(noted()) == 3 and gone(noted())
    assert not trees(prefix)


def test_an_interrupt_while_it_waits_stops_the_workers(program: Program, prefix: str, noted: Noted) -> None:
    running = program(MAKE + "with trainer:\n    noted(3)\n    print('started')\n    trainer.wait()\n")
    assert running.stdout is not None and running.stdout.readline() == "started\n"
    running.send_signal(signal.SIGINT)
    _, errors = running.communicate(timeout=30 * SLOWNESS)
    assert "KeyboardInterrupt" in errors
    assert len(noted()) == 3 and gone(noted())
    assert not trees(prefix)


def test_a_killed_program_leaves_nothing(program: Program, prefix: str, noted: Noted) -> None:
    running = program(MAKE + STARTED + "trainer.wait()\n")
    assert running.stdout is not None and running.stdout.readline() == "started\n"
    running.kill()
    until(lambda: gone(noted()), why="the workers of a killed program to be gone")
    until(lambda: not trees(prefix), why="their groups to be gone")
    assert len(noted()) == 3


def test_a_killed_program_leaves_nothing_even_if_it_had_forked(program: Program, prefix: str, noted: Noted) -> None:
    """The fork holds every descriptor of its parent, the keeper's channel too; it goes on."""
    running = program(
        MAKE
        + "trainer.start()\nnoted(3)\n"
        + "import os, time\n"
        + "fork = os.fork()\n"
        + "if fork == 0:\n"
        + "    time.sleep(1000)\n"
        + "print(fork)\n"
        + "trainer.wait()\n"
    )
    assert running.stdout is not None
    fork = int(running.stdout.readline())
    try:
        running.kill()
        until(lambda: gone(noted()), why="the workers of a killed program to be gone")
        until(lambda: not trees(prefix), why="their groups to be gone")
        assert alive(fork)
    finally:
        signal.pidfd_send_signal(_pidfd(fork), signal.SIGKILL)


def test_a_fork_that_ends_leaves_its_parents_workers_alone(program: Program, noted: Noted) -> None:
    running = program(
        MAKE
        + "trainer.start()\nnoted(3)\n"
        + "import os, sys\n"
        + "if os.fork() == 0:\n"
        + "    try:\n"
        + "        trainer.incr()\n"
        + "    except Exception as refused:\n"
        + "        print(refused)\n"
        + "    trainer.stop()\n"
        + "    sys.exit()\n"
        + "os.wait()\n"
        + "print(len(trainer.pids))\n"
        + "trainer.stop()\n"
    )
    output, errors = running.communicate(timeout=30 * SLOWNESS)
    assert errors == ""
    assert output.splitlines()[0].startswith("cannot do this in a fork: the workers belong to process")
    assert output.splitlines()[1:] == ["3"]
    assert gone(noted())


def test_a_program_that_dies_while_it_starts_leaves_nothing(program: Program, prefix: str, noted: Noted) -> None:
    for delay in (0.05, 0.15, 0.25, 0.4):
        starting = program("from circus_cg import get_trainer\nget_trainer(CMD, 20, name=PREFIX).start()\n")
        with suppress(subprocess.TimeoutExpired):
            starting.wait(delay)
        starting.kill()
        starting.communicate()
        until(lambda: gone(noted()) and not trees(prefix), why="everything to be gone")


def test_an_interrupt_at_any_moment_of_a_start_leaves_nothing_and_it_can_be_started_again(
    program: Program, prefix: str, noted: Noted
) -> None:
    """The program goes on after each: not its end clears up, but `start` itself, or a `stop` after it."""
    running = program(
        "import signal, sys, threading, time\n"
        "def interrupt(*_): raise KeyboardInterrupt\n"
        "signal.signal(signal.SIGALRM, interrupt)\n"
        + MAKE
        + "for n in range(1, 30):\n"
        + "    started = False\n"
        + "    try:\n"
        + "        signal.setitimer(signal.ITIMER_REAL, n * 0.004)\n"
        + "        trainer.start()\n"
        + "        started = True\n"
        + "        time.sleep(10)\n"
        + "    except KeyboardInterrupt:\n"
        + "        assert trainer.running <= started\n"
        + "    trainer.stop()\n"
        + f"    until = time.monotonic() + {10 * SLOWNESS}\n"
        + "    while threading.active_count() > 1 and time.monotonic() < until: time.sleep(0.001)\n"
        + "    assert threading.active_count() == 1, threading.enumerate()\n"
        + "print('done')\n"
        + "sys.stdin.read()\n"
    )
    assert running.stdout is not None
    if running.stdout.readline() != "done\n":
        pytest.fail(running.communicate(timeout=30)[1])
    assert gone(noted()) and not trees(prefix) and not children_of(running.pid)


def test_a_signals_handler_may_stop_what_its_own_thread_is_starting_or_stopping(program: Program, prefix: str) -> None:
    done = program(
        "import signal, threading\n"
        + "from circus_cg import NotRunning, get_trainer\n"
        + "stubborn = ['sh', '-c', 'trap : TERM; while :; do sleep 0.1; done']\n"
        + "trainer = get_trainer(stubborn, 2, name=PREFIX, graceful_timeout=0.5)\n"
        + "signal.signal(signal.SIGTERM, lambda *_: trainer.stop())\n"
        + "me = threading.get_ident()\n"
        + "def soon(): threading.Timer(0.03, signal.pthread_kill, (me, signal.SIGTERM)).start()\n"
        + "soon()\n"
        + "try:\n"
        + "    trainer.start()\n"
        + "except NotRunning:\n"
        + "    pass\n"
        + "trainer.start()\n"
        + "soon()\n"
        + "trainer.stop()\n"
        + "print(trainer.running)\n"
    )
    output, errors = done.communicate(timeout=30 * SLOWNESS)
    assert (output, errors) == ("False\n", "")
    assert not trees(prefix)


def test_a_program_with_thousands_of_open_descriptors_may_start_workers(program: Program, noted: Noted) -> None:
    done = program(
        "import os, resource\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (4096, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))\n"
        "held = [os.open('/dev/null', os.O_RDONLY) for _ in range(2000)]\n" + MAKE + "with trainer:\n    noted(3)\n"
    )
    _, errors = done.communicate(timeout=30 * SLOWNESS)
    assert (done.returncode, errors) == (0, "")
    assert len(noted()) == 3 and gone(noted())


def test_a_start_that_finds_no_free_descriptor_says_so_and_leaks_none(program: Program, prefix: str) -> None:
    """At each of the places where one is needed, until there are enough."""
    done = program(
        "import gc, os, resource\n"
        + "from circus_cg import HostError\n"
        + MAKE
        + "def opened(): return len(os.listdir('/proc/self/fd'))\n"
        + "trainer.start(); trainer.stop()\n"
        + "_, hard = resource.getrlimit(resource.RLIMIT_NOFILE)\n"
        + "before, refused = opened(), 0\n"
        + "for free in range(1, 60):\n"
        + "    resource.setrlimit(resource.RLIMIT_NOFILE, (before - 1 + free, hard))\n"
        + "    try:\n"
        + "        trainer.start()\n"
        + "    except HostError as failed:\n"
        + "        assert 'Too many open files' in str(failed), failed\n"
        + "        refused += 1\n"
        + "    else:\n"
        + "        trainer.stop()\n"
        + "        break\n"
        + "    finally:\n"
        + "        resource.setrlimit(resource.RLIMIT_NOFILE, (before + 100, hard))\n"
        + "gc.collect()  # an exception holds what its frames held\n"
        + "assert opened() == before, (opened(), before)\n"
        + "print('started at last', refused > 5)\n"
    )
    output, errors = done.communicate(timeout=30 * SLOWNESS)
    assert output == "started at last True\n", errors  # a loop that could not be made says more on stderr


def test_who_may_make_no_groups_is_told_what_would_help(program: Program, prefix: str) -> None:
    done = program(
        "import os, sys\n"
        + "from circus_cg import HostError\n"
        + MAKE
        + "sys.executable = '/bin/true'  # this one may be in a home that is root's alone\n"
        + "os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
        + "try:\n"
        + "    trainer.start()\n"
        + "except HostError as refused:\n"
        + "    print(refused)\n"
    )
    output, errors = done.communicate(timeout=30 * SLOWNESS)
    assert output.startswith("cannot make ") and "become root, or name a delegated group" in output, errors
    assert not trees(prefix)


@pytest.mark.parametrize("nth", [1, 2, 4])
def test_a_program_that_dies_amid_making_its_groups_leaves_none(program: Program, prefix: str, nth: int) -> None:
    dying = program(
        "import itertools, os, signal\n"
        + MAKE
        + "from circus_cg.cgroup.tree import Tree\n"
        + "make, count = Tree.make, itertools.count(1)\n"
        + "def made(*which):\n"
        + "    make(*which)\n"
        + f"    if next(count) == {nth}: os.kill(os.getpid(), signal.SIGKILL)\n"
        + "Tree.make = made\n"
        + "trainer.start()\n"
    )
    assert dying.wait(30 * SLOWNESS) == -signal.SIGKILL
    until(lambda: not trees(prefix), why="the groups to be gone")


def test_signals_to_the_programs_group_reach_neither_keeper_nor_workers(program: Program, noted: Noted) -> None:
    """Ctrl-C goes to the whole foreground group: only the program itself may decide what it means."""
    running = program(
        "import os, signal\nos.setpgid(0, 0)\nsignal.signal(signal.SIGINT, lambda *_: print('heard'))\n"
        + MAKE
        + STARTED
        + "while not trainer.wait(0.1): pass\n"
    )
    assert running.stdout is not None and running.stdout.readline() == "started\n"
    os.killpg(running.pid, signal.SIGINT)
    assert running.stdout.readline() == "heard\n"
    assert all(alive(pid) for pid in noted())
    running.kill()
    until(lambda: gone(noted()))


def test_nothing_of_the_program_is_open_in_keeper_or_workers(program: Program, tmp_path: Path, noted: Noted) -> None:
    secret = tmp_path / "secret"
    running = program(
        f"import os\nfd = os.open({str(secret)!r}, os.O_CREAT | os.O_RDWR)\nos.set_inheritable(fd, True)\n"
        + MAKE
        + STARTED
        + "trainer.wait()\n"
    )
    assert running.stdout is not None and running.stdout.readline() == "started\n"
    keeper = next(pid for pid, line in children_of(running.pid).items() if "embedded.py" in line)
    for pid in (keeper, *children_of(keeper)):
        opened = [path.readlink() for path in Path(f"/proc/{pid}/fd").iterdir()]
        assert secret not in opened
    running.kill()
    until(lambda: gone(noted()))


def _pidfd(pid: int) -> int:
    return os.pidfd_open(pid)
