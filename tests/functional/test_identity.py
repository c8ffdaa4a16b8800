"""A worker is and may do what its configuration says, from YAML and circus.ini alike; what can't be had is refused."""

from __future__ import annotations

import json
import os
import resource
import subprocess
from pathlib import Path
from typing import Any

import pytest

from circus_cg.linux import capability_mask
from tests.conftest import until
from tests.functional.conftest import StartDaemon
from tests.functional.daemon import PROGRAM, Daemon, Refused
from tests.functional.evidence import lines_of, python
from tests.functional.test_circus_ini import configured
from tests.scratch_groups import mounts

NOBODY = 65534
RT_BUDGETS = any((mount / "cpu.rt_runtime_us").exists() for mount in mounts())
BY_GROUP = " sched_rt_can_attach\n" in Path("/proc/kallsyms").read_text()  # CONFIG_RT_GROUP_SCHED
TELL = """
import ctypes, json, os, time
WANTED = ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "NoNewPrivs", "Uid")
status = dict(line.split(":\\t", 1) for line in open("/proc/self/status") if ":\\t" in line)
limits = {line[:26].strip(): line[26:].split()[:2] for line in list(open("/proc/self/limits"))[1:]}
found = dict(
    status={key: status[key].strip() for key in WANTED},
    limits=limits, cpus=sorted(os.sched_getaffinity(0)), env=dict(os.environ), umask=os.umask(0),
    policy=[os.sched_getscheduler(0), os.sched_getparam(0).sched_priority], nice=os.nice(0),
    io=ctypes.CDLL(None).syscall({"x86_64": 252}.get(os.uname().machine, 31), 1, 0),
)
print(json.dumps(found), flush=True)
time.sleep(1000)
"""


@pytest.fixture(params=["launcher", "fork"])
def way_to_spawn(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "fork":
        monkeypatch.setenv("CIRCUS_CG_LAUNCHER", "fork")


def told(path: Path, line: int = 0) -> dict[str, Any]:
    until(lambda: len(lines_of(path)) > line, why="the worker's evidence")
    found: dict[str, Any] = json.loads(lines_of(path)[line])
    return found


def refusal(daemon: Daemon) -> tuple[int, str]:
    """Exit status and words of a `run` that starts nothing."""
    done = subprocess.run(
        [PROGRAM, "run", str(daemon.config)], env=daemon.environment, capture_output=True, text=True, check=False
    )
    return done.returncode, done.stderr


def v2_cpu(file: str) -> bool:
    """The cpu controller is among a v2 root's controllers, or enabled for its children."""
    found = [mount / file for mount in mounts() if (mount / file).exists()]
    return any("cpu" in path.read_text().split() for path in found)


def may(capability: str) -> bool:
    rows = dict(line.split(":\t", 1) for line in Path("/proc/self/status").read_text().splitlines() if ":\t" in line)
    return bool(int(rows["CapEff"], 16) & capability_mask([capability]))


ASKED: dict[str, Any] = {
    "uid": NOBODY,
    "gid": NOBODY,
    "umask": "027",
    "nice": 3,
    "sched_policy": "batch",
    "ionice_class": "best-effort",
    "ionice_level": 6,
    "cpu_affinity": str(max(os.sched_getaffinity(0))),
    "ambient_capabilities": ["net_bind_service"],
    "bounding_capabilities": ["net_bind_service", "CAP_KILL"],
    "no_new_privs": True,
}


def check(found: dict[str, Any]) -> None:
    held, bound = capability_mask(["net_bind_service"]), capability_mask(["net_bind_service", "kill"])
    capabilities = {key: int(found["status"][key], 16) for key in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")}
    assert capabilities == {"CapInh": held, "CapPrm": held, "CapEff": held, "CapBnd": bound, "CapAmb": held}
    assert found["status"]["NoNewPrivs"] == "1" and found["status"]["Uid"].split() == [str(NOBODY)] * 4
    assert found["policy"] == [3, 0] and found["nice"] == 3 and found["umask"] == 0o027
    assert found["io"] == 2 << 13 | 6 and found["cpus"] == [max(os.sched_getaffinity(0))]


def test_a_worker_is_and_may_do_what_its_yaml_says(daemon: StartDaemon, tmp_path: Path, way_to_spawn: None) -> None:
    seen = tmp_path / "seen"
    daemon(watchers={"w": {"cmd": python(TELL), "stdout": str(seen), **ASKED}})
    check(told(seen))


def test_a_worker_is_and_may_do_what_its_circus_ini_says(tmp_path: Path, public: Path, scratch_name: str) -> None:
    seen, script = tmp_path / "seen", public / "tell.py"
    script.write_text(TELL)
    script.chmod(0o644)
    variables = tmp_path / "web.env"
    variables.touch(mode=0o600)
    variables.write_text("TOKEN=pa$HOME $(circus.wid)\n")
    options = {key: ", ".join(value) if isinstance(value, list) else value for key, value in ASKED.items()}
    text = f"[circus]\nname = {scratch_name}\n[watcher:w]\ncmd = /usr/bin/python3 -I -S {script}\n"
    text += f"stdout = {seen}\nenv_file = {variables}\nrlimit_core = 0\n"
    text += "".join(f"{key} = {value}\n" for key, value in options.items())
    with configured(tmp_path, scratch_name, text):
        found = told(seen)
        check(found)
        assert found["env"]["TOKEN"] == "pa$HOME $(circus.wid)"
        assert found["limits"]["Max core file size"] == ["0", "0"]


def test_every_resource_limit_is_set(daemon: StartDaemon, tmp_path: Path) -> None:
    seen = tmp_path / "seen"
    asked = {
        "as": (1 << 32, "Max address space"), "core": (4096, "Max core file size"), "cpu": (900, "Max cpu time"),
        "data": (1 << 31, "Max data size"), "fsize": (1 << 30, "Max file size"), "memlock": (8192, "Max locked memory"),
        "msgqueue": (4096, "Max msgqueue size"), "nice": (0, "Max nice priority"), "nofile": (99, "Max open files"),
        "nproc": (500, "Max processes"), "rss": (1 << 30, "Max resident set"), "rtprio": (0, "Max realtime priority"),
        "rttime": (1000, "Max realtime timeout"), "sigpending": (50, "Max pending signals"),
        "stack": (1 << 20, "Max stack size"),
    }  # fmt: skip
    daemon(watchers={"w": {"cmd": python(TELL), "stdout": str(seen), "rlimits": {k: v for k, (v, _) in asked.items()}}})
    found = told(seen)["limits"]
    assert {name: found[name] for _, name in asked.values()} == {name: [str(v)] * 2 for v, name in asked.values()}


def test_the_environment_comes_from_where_it_is_said_to(
    daemon: StartDaemon, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    venv, seen = tmp_path / "venv", tmp_path / "seen"
    site = venv / "lib/python3.1/site-packages"
    site.mkdir(parents=True)
    (venv / "bin").mkdir()
    (venv / "bin/tell").symlink_to("/usr/bin/python3")
    monkeypatch.setenv("FROM_DAEMON", "d$A")
    for name, text in (("one", "A=1\nB=1\nSECRET=pa$HOME#\n"), ("two", 'B="2"\nC=2\n')):
        (tmp_path / name).touch(mode=0o600)
        (tmp_path / name).write_text(text)
    spec = {
        "cmd": ["tell", "-I", "-S", "-c", TELL], "stdout": str(seen), "copy_env": True, "copy_path": True,
        "virtualenv": str(venv), "env_file": [str(tmp_path / "one"), str(tmp_path / "two")],
        "env": {"C": "3", "PATH": "/nowhere"},
    }  # fmt: skip
    daemon(watchers={"w": spec})
    env = told(seen)["env"]
    assert {key: env[key] for key in ("A", "B", "C", "SECRET", "FROM_DAEMON")} == {
        "A": "1", "B": "2", "C": "3", "SECRET": "pa$HOME#", "FROM_DAEMON": "d$A",
    }  # fmt: skip
    assert env["PATH"] == f"{venv}/bin:/nowhere" and env["VIRTUAL_ENV"] == str(venv)
    path = env["PYTHONPATH"].split(":")
    assert path[-1] == str(site) and any(one.endswith("site-packages") for one in path[:-1])


def test_a_changed_file_counts_when_the_watcher_is_changed(daemon: StartDaemon, tmp_path: Path) -> None:
    seen, variables = tmp_path / "seen", tmp_path / "env"
    variables.touch(mode=0o600)
    variables.write_text("A=1\n")
    running = daemon(watchers={"w": {"cmd": python(TELL), "stdout": str(seen), "env_file": [str(variables)]}})
    assert told(seen)["env"]["A"] == "1"
    variables.write_text("A=2\n")
    running.ctl("restart", "w")
    assert told(seen, 1)["env"]["A"] == "1", "what was read at the start is sealed"
    running.ctl("set", "w", "no_new_privs", "true")
    found = told(seen, 2)
    assert found["env"]["A"] == "2" and found["status"]["NoNewPrivs"] == "1"
    variables.chmod(0o666)
    with pytest.raises(Refused, match="writable by others"):
        running.ctl("set", "w", "no_new_privs", "false")
    assert running.wait_phase("w")[0]["generation"] == 3


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"env_file": "/no/such.env"}, "env_file /no/such.env: cannot read: No such file or directory"),
        ({"virtualenv": "/no/such/venv"}, "virtualenv '/no/such/venv' has no lib/python*/site-packages"),
        ({"cpu_affinity": "60000"}, "w.cpu_affinity: cannot run on CPU 60000"),
    ],
)
def test_what_this_host_lacks_is_told_by_check_and_refused_by_run(
    tmp_path: Path, scratch_name: str, options: dict[str, Any], told: str
) -> None:
    mark = tmp_path / "mark"
    lacking = Daemon(tmp_path, scratch_name, {"watchers": {"w": {"cmd": ["touch", str(mark)], **options}}})
    checked = subprocess.run(
        [PROGRAM, "check", str(lacking.config)], env=lacking.environment, capture_output=True, text=True, check=False
    )
    assert (checked.returncode, told.removeprefix("w.") in checked.stderr) == (0, True), checked.stderr
    status, words = refusal(lacking)
    assert (status, told in words) == (3, True), words
    assert not mark.exists()


@pytest.mark.host_may_lack("a root without CAP_SYS_RESOURCE")
@pytest.mark.skipif(may("sys_resource"), reason="this process has CAP_SYS_RESOURCE")
def test_what_takes_cap_sys_resource_is_refused_without_it(
    daemon: StartDaemon, tmp_path: Path, scratch_name: str
) -> None:
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    lacking = {"rlimits": {"nofile": hard + 1}, "oom_score_adj": -500}
    missing = Daemon(tmp_path, scratch_name, {"watchers": {"w": {"cmd": ["true"], **lacking}}})
    status, words = refusal(missing)
    assert status == 3
    assert f"w.rlimits.nofile: cannot raise the hard limit to {hard + 1}: no CAP_SYS_RESOURCE" in words
    assert "w.oom_score_adj: cannot lower it to -500: no CAP_SYS_RESOURCE" in words
    running = daemon(on_missing="warn", watchers={"w": {"cmd": ["sleep", "9"], "max_retry": 0, **lacking}})
    (row,) = running.wait_phase("w", "failed")
    assert row["last_exit"]["reason"] == "exec"
    assert row["last_exit"]["detail"].startswith("oom_score_adj: Permission denied: only CAP_SYS_RESOURCE")


@pytest.mark.host_may_lack("a root with CAP_SYS_RESOURCE")
@pytest.mark.skipif(not may("sys_resource"), reason="this process lacks CAP_SYS_RESOURCE")
def test_what_takes_cap_sys_resource_is_granted_with_it(daemon: StartDaemon, tmp_path: Path) -> None:
    seen = tmp_path / "seen"
    hard = resource.getrlimit(resource.RLIMIT_MSGQUEUE)[1]  # of descriptors not even root may have more than fs.nr_open
    asked = {"rlimits": {"msgqueue": hard + 1}, "oom_score_adj": -500}
    running = daemon(watchers={"w": {"cmd": python(TELL), "stdout": str(seen), **asked}})
    assert told(seen)["limits"]["Max msgqueue size"] == [str(hard + 1)] * 2
    (row,) = running.wait_phase("w")
    assert Path(f"/proc/{row['pid']}/oom_score_adj").read_text().strip() == "-500"


def test_a_capability_that_the_daemon_lacks_is_refused(tmp_path: Path, scratch_name: str) -> None:
    """Where root has them all the daemon is given a smaller bounding set."""
    asked = {"cmd": ["true"], "uid": NOBODY, "gid": NOBODY, "ambient_capabilities": ["sys_resource"]}
    lacking = Daemon(tmp_path, scratch_name, {"watchers": {"w": asked}})
    done = subprocess.run(
        ["/usr/sbin/capsh", "--drop=cap_sys_resource", "--", "-c", f"exec {PROGRAM} run {lacking.config}"]
        if may("sys_resource") and Path("/usr/sbin/capsh").exists()
        else [PROGRAM, "run", str(lacking.config)],
        env=lacking.environment, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 3, done.stderr
    assert "w.ambient_capabilities: cannot give sys_resource: the daemon has it not itself" in done.stderr


@pytest.mark.host_may_lack("groups that are no cpu groups, or have real-time budgets")
def test_a_real_time_policy_is_what_was_asked_for(daemon: StartDaemon, tmp_path: Path, way_to_spawn: None) -> None:
    if BY_GROUP and v2_cpu("cgroup.subtree_control"):
        pytest.skip("cpu is enabled for v2 groups, as other tests do, and this kernel gives them no budget")
    seen = tmp_path / "seen"
    asked = {"sched_policy": "rr", "sched_priority": 5}
    daemon(watchers={"w": {"cmd": python(TELL), "stdout": str(seen), **asked}})
    assert told(seen)["policy"] == [2, 5]


@pytest.mark.host_may_lack("v1 cpu groups with real-time budgets")
@pytest.mark.skipif(not RT_BUDGETS, reason="no v1 cpu hierarchy with CONFIG_RT_GROUP_SCHED")
def test_a_real_time_policy_in_a_v1_cpu_group_is_refused(
    daemon: StartDaemon, tmp_path: Path, scratch_name: str
) -> None:
    watchers = {"w": {"cmd": ["sleep", "9"], "max_retry": 0, "sched_policy": "fifo", "limits": {"cpu_max": 1}}}
    status, words = refusal(Daemon(tmp_path, scratch_name, {"watchers": watchers}))
    assert status == 3
    assert "w.sched_policy: cannot use fifo: the workers' v1 cpu groups have no cpu.rt_runtime_us" in words
    running = daemon(on_missing="warn", watchers=watchers)
    (row,) = running.wait_phase("w", "failed")
    assert row["last_exit"]["detail"].startswith("scheduler: Operation not permitted: ")


@pytest.mark.host_may_lack("v2 cpu groups without real-time budgets")
@pytest.mark.skipif(
    not (BY_GROUP and v2_cpu("cgroup.controllers")), reason="cpu is on v1, or no sign of CONFIG_RT_GROUP_SCHED"
)
def test_a_real_time_policy_in_a_v2_cpu_group_is_refused(
    daemon: StartDaemon, tmp_path: Path, scratch_name: str
) -> None:
    """The limit is another watcher's: the controller is used for both, or neither."""
    real_time = {"cmd": ["sleep", "9"], "max_retry": 0, "sched_policy": "fifo"}
    watchers = {"w": real_time, "other": {"cmd": ["sleep", "9"], "limits": {"cpu_max": 1}}}
    status, words = refusal(Daemon(tmp_path, scratch_name, {"watchers": watchers}))
    assert status == 3
    assert "w.sched_policy: cannot use fifo: this kernel gives v2 cpu groups no real-time budget" in words
    running = daemon(on_missing="warn", watchers=watchers)
    (row,) = running.wait_phase("w", "failed")
    assert row["last_exit"]["detail"].startswith("scheduler: Operation not permitted: ")


def test_a_singleton_stays_one(daemon: StartDaemon) -> None:
    running = daemon(watchers={"w": {"cmd": ["sleep", "1000"], "singleton": True}})
    (row,) = running.wait_phase("w")
    with pytest.raises(Refused, match="it is a singleton"):
        running.ctl("incr", "w")
    with pytest.raises(Refused, match="too many for a singleton"):
        running.ctl("set", "w", "numprocesses", "2")
    assert running.ctl("decr", "w")["numprocesses"] == 0
    assert running.ctl("incr", "w")["numprocesses"] == 1
    running.ctl("set", "w", "singleton", "false")
    running.ctl("incr", "w")
    assert row["pid"] not in {one["pid"] for one in running.wait_phase("w", count=2)}
    with pytest.raises(Refused, match="too many for a singleton"):
        running.ctl("set", "w", "singleton", "true")
