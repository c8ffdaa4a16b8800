"""What a worker may do when its program begins, whichever launcher made it: never more than it was asked for."""

from __future__ import annotations

import errno
import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from circus_cg.keeper.launch import Failed, ForkLauncher, NativeLauncher
from circus_cg.linux import CAPABILITIES, IO_CLASSES, POLICIES, capability_mask, io_priority
from tests.functional.launcher.conftest import MakeGroup
from tests.functional.launcher.driver import Driver
from tests.scratch_groups import mounts

ROOT = Path(__file__).parents[3]
NOBODY = 65534
SETS = ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")
CPU = next((mount for mount in mounts() if (mount / "cpu.rt_runtime_us").exists()), None)


@pytest.fixture(params=["native", "fork"])
def driver(request: pytest.FixtureRequest, native_launcher: str) -> Iterator[Driver]:
    driver = Driver(NativeLauncher(native_launcher) if request.param == "native" else ForkLauncher())
    yield driver
    driver.close()


def status(driver: Driver, **properties: object) -> dict[str, str]:
    text = driver.output("cat", "/proc/self/status", **properties)
    return dict(line.split(":\t", 1) for line in text.splitlines() if ":\t" in line)


def sets(driver: Driver, **properties: object) -> dict[str, int]:
    found = status(driver, **properties)
    return {name: int(found[name], 16) for name in SETS}


def mine(name: str) -> int:
    rows = dict(line.split(":\t", 1) for line in Path("/proc/self/status").read_text().splitlines() if ":\t" in line)
    return int(rows[name], 16)


def refused(driver: Driver, **properties: object) -> tuple[str, int]:
    """(stage, errno), and nothing was executed."""
    ident = driver.submit("true", **properties)
    failed = driver.settled(ident)
    assert isinstance(failed, Failed)
    assert driver.status(ident) == 127
    return failed.stage, failed.errno


def test_a_worker_without_root_has_its_ambient_capabilities_and_no_other(driver: Driver) -> None:
    wanted = capability_mask(["net_bind_service", "chown"])
    found = sets(driver, uid=NOBODY, gid=NOBODY, groups=[], ambient=wanted)
    assert found == dict.fromkeys(SETS, wanted) | {"CapBnd": mine("CapBnd")}


def test_a_worker_without_root_has_no_capability_unless_it_is_asked_for(driver: Driver) -> None:
    for properties in ({}, {"ambient": 0}):
        found = sets(driver, uid=NOBODY, gid=NOBODY, groups=[], **properties)
        assert found == dict.fromkeys(SETS, 0) | {"CapBnd": mine("CapBnd")}


def test_the_bounding_set_binds_root_too(driver: Driver) -> None:
    wanted = capability_mask(["chown", "kill"])
    found = sets(driver, bounding=wanted)
    assert found == {"CapInh": 0, "CapPrm": wanted, "CapEff": wanted, "CapBnd": wanted, "CapAmb": 0}
    assert sets(driver, bounding=0) == dict.fromkeys(SETS, 0)


GENEROUS = """
import sys
from circus_cg.keeper import privileges
from circus_cg.keeper.launch import ForkLauncher, NativeLauncher
from tests.functional.launcher.driver import Driver
privileges.set_capabilities(int(sys.argv[3]))  # all that we have is inheritable and ambient
driver = Driver(NativeLauncher(sys.argv[2]) if sys.argv[1] == "native" else ForkLauncher())
for properties in ({}, {"uid": 65534, "gid": 65534, "groups": []}, {"bounding": 1}):
    text = driver.output("cat", "/proc/self/status", **properties)
    print(*[int(line.split()[1], 16) for line in text.splitlines() if line.startswith("Cap")])
driver.close()
"""


@pytest.mark.parametrize("way", ["native", "fork"])
def test_what_the_caller_could_pass_on_is_not_passed_on(native_launcher: str, way: str) -> None:
    """Inheritable capabilities, which a file's own could wake; ambient ones, which need no file."""
    have = mine("CapPrm")
    command = [sys.executable, "-c", GENEROUS, way, native_launcher, str(have)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0, done.stderr
    found = [[int(one) for one in line.split()] for line in done.stdout.splitlines()]
    assert found[0][0] == have, "without a word about it all of it is passed on, so this test can fail"
    assert found[1] == [0, 0, 0, mine("CapBnd"), 0]
    assert found[2] == [1, 1, 1, 1, 1]


def test_both_sets_together_leave_what_is_in_both(driver: Driver) -> None:
    bounding, ambient = capability_mask(["net_raw", "kill"]), capability_mask(["net_raw"])
    found = sets(driver, uid=NOBODY, gid=NOBODY, groups=[], bounding=bounding, ambient=ambient)
    assert found == dict.fromkeys(SETS, ambient) | {"CapBnd": bounding}


def test_an_ambient_capability_beyond_the_bounding_set_fails_the_spawn(driver: Driver) -> None:
    asked = {"uid": NOBODY, "gid": NOBODY, "groups": [], "ambient": capability_mask(["net_raw"])}
    assert refused(driver, **asked, bounding=0) == ("capabilities", errno.EPERM)


def test_an_ambient_capability_that_the_caller_lacks_fails_the_spawn(driver: Driver) -> None:
    lacking = [name for name in CAPABILITIES if not mine("CapPrm") & capability_mask([name])]
    if lacking:
        beyond, error = capability_mask(lacking[:1]), errno.EPERM
    else:
        beyond, error = 1 << 63, errno.EINVAL  # one that no kernel knows
    asked = {"uid": NOBODY, "gid": NOBODY, "groups": [], "ambient": beyond}
    stage, found = refused(driver, **asked)
    assert stage == "capabilities" and found in (error, errno.EINVAL)


def test_no_set_user_id_program_gives_back_what_was_dropped(driver: Driver, public: Path) -> None:
    program = public / "whoami"
    program.write_bytes(Path("/usr/bin/id").read_bytes())
    program.chmod(stat.S_ISUID | 0o755)
    asked = {"uid": NOBODY, "gid": NOBODY, "groups": []}
    before = driver.output(str(program), "-u", **asked)
    assert status(driver, **asked)["NoNewPrivs"] == "0"
    assert driver.output(str(program), "-u", **asked, no_new_privs=True).strip() == str(NOBODY)
    assert status(driver, **asked, no_new_privs=True)["NoNewPrivs"] == "1"
    assert before.strip() == "0", "the file system honours the bit, or this test shows nothing"


@pytest.mark.parametrize("policy", sorted(POLICIES))
def test_the_scheduling_policy_is_what_was_asked_for(driver: Driver, policy: str) -> None:
    priority = 7 if policy in ("fifo", "rr") else 0
    fields = driver.output("cat", "/proc/self/stat", scheduler=(POLICIES[policy], priority)).rpartition(")")[2].split()
    assert [int(fields[at]) for at in (37, 38)] == [priority, POLICIES[policy]]


def test_nice_and_policy_go_together_and_stay_without_root(driver: Driver) -> None:
    asked = {"uid": NOBODY, "gid": NOBODY, "groups": [], "nice": -3, "scheduler": (POLICIES["batch"], 0)}
    fields = driver.output("cat", "/proc/self/stat", **asked).rpartition(")")[2].split()
    assert (int(fields[16]), int(fields[38])) == (-3, POLICIES["batch"])


@pytest.mark.host_may_lack("a v1 cpu hierarchy with real-time budgets")
@pytest.mark.skipif(CPU is None, reason="no v1 cpu hierarchy with CONFIG_RT_GROUP_SCHED")
def test_a_real_time_policy_in_a_group_without_budget_fails_the_spawn(driver: Driver, make_group: MakeGroup) -> None:
    assert CPU is not None
    group = make_group(CPU)
    assert refused(driver, v1=[str(group)], scheduler=(POLICIES["fifo"], 1)) == ("scheduler", errno.EPERM)


@pytest.mark.parametrize(("name", "level", "told"), [
    ("realtime", 3, "realtime: prio 3"), ("best-effort", 6, "best-effort: prio 6"), ("idle", None, "idle"),
    (None, 1, "best-effort: prio 1"),
])  # fmt: skip
def test_the_io_priority_is_what_was_asked_for(driver: Driver, name: str | None, level: int | None, told: str) -> None:
    assert driver.output("ionice", io_priority=io_priority(name, level)).strip() == told


def test_a_worker_runs_on_the_cpus_that_were_asked_for(driver: Driver) -> None:
    last = max(os.sched_getaffinity(0))
    assert status(driver, cpus=[(last, last)])["Cpus_allowed_list"] == str(last)
    assert status(driver, cpus=[(0, 65535)])["Cpus_allowed_list"] == status(driver)["Cpus_allowed_list"]


def test_cpus_that_are_not_there_fail_the_spawn(driver: Driver) -> None:
    assert refused(driver, cpus=[(60000, 60001)]) == ("affinity", errno.EINVAL)


def test_an_io_class_that_is_none_fails_the_spawn(driver: Driver) -> None:
    assert max(IO_CLASSES.values()) < 5
    assert refused(driver, io_priority=5 << 13) == ("io_priority", errno.EINVAL)


def test_a_policy_that_is_none_fails_the_spawn(driver: Driver) -> None:
    assert refused(driver, scheduler=(77, 0)) == ("scheduler", errno.EINVAL)
