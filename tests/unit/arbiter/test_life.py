"""What the keeper is asked for: the environment, what a worker may do, and its number for those who ask for it."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from circus_cg.arbiter.boot import ArbiterBoot
from circus_cg.arbiter.life import names_wid, template, with_wid
from circus_cg.cgroup.hierarchy import Layout
from circus_cg.host.identity import Identity
from circus_cg.host.virtualenv import Virtualenv
from circus_cg.keeper.messages import SINCE, is_understood
from circus_cg.spec import DEFAULT_PATH, ArbiterSpec, WatcherSpec

BOOT = ArbiterBoot(
    spec=ArbiterSpec(), layout=Layout("v2", ()), identities={}, environment={"LANG": "C", "A": "daemon's"},
    python_path=("/lib/a", "/lib/b"), oom_score_adj=0, nofile=(1024, 4096), runtime=None, state=None,
)  # fmt: skip
VENV = Virtualenv(root="/v", bin="/v/bin", site="/v/lib/python3.11/site-packages")


def asked(identity: Identity | None = None, **options: Any) -> dict[str, Any]:
    """What the keeper is sent, as it comes out of the wire."""
    request = template(WatcherSpec(name="w", cmd=("a",), **options), BOOT, identity or Identity())
    found: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(request))
    return found


def test_only_a_watcher_that_names_the_number_pays_for_it() -> None:
    assert not names_wid(WatcherSpec(name="w", cmd=("a", "$(circus.env.x)", "$wid"), env={"A": "wid"}))
    assert names_wid(WatcherSpec(name="w", cmd=("a", "-n$(circus.wid)")))
    assert names_wid(WatcherSpec(name="w", cmd=("a",), env={"N": "((CIRCUS.WID))"}))


def test_the_number_is_put_in_and_all_else_stays() -> None:
    spec = WatcherSpec(name="w", cmd=("a", "$(circus.wid)-((Circus.Wid))", "$(circus.x)"), env={"N": "$(circus.wid)"})
    request = {"argv": [], "env": {"PATH": "/bin", "N": "$(circus.wid)", "INHERITED": "$(circus.wid)"}, "nice": 3}
    assert with_wid(request, spec, 7) == {
        "argv": ["a", "7-7", "$(circus.x)"],
        "env": {"PATH": "/bin", "N": "7", "INHERITED": "$(circus.wid)"},
        "nice": 3,
    }


@pytest.mark.parametrize(
    ("options", "env"),
    [
        ({}, {"PATH": DEFAULT_PATH}),
        ({"env": {"PATH": "/x", "A": "$B"}}, {"PATH": "/x", "A": "$B"}),
        ({"copy_env": True}, {"PATH": DEFAULT_PATH, "LANG": "C", "A": "daemon's"}),
        ({"copy_env": True, "env": {"A": "1"}}, {"PATH": DEFAULT_PATH, "LANG": "C", "A": "1"}),
        ({"copy_path": True}, {"PATH": DEFAULT_PATH, "PYTHONPATH": "/lib/a:/lib/b"}),
        ({"copy_path": True, "env": {"PYTHONPATH": "/own"}}, {"PATH": DEFAULT_PATH, "PYTHONPATH": "/own"}),
    ],
)
def test_the_environment_is_put_together_in_its_order(options: dict[str, Any], env: dict[str, str]) -> None:
    assert asked(**options)["env"] == env


def test_what_a_file_says_stands_between_the_daemon_s_variables_and_the_watcher_s_own() -> None:
    who = Identity(variables={"A": "file's", "B": "$(circus.wid) $HOME", "C": "file's"})
    env = asked(who, copy_env=True, env={"C": "own"})["env"]
    assert env == {"PATH": DEFAULT_PATH, "LANG": "C", "A": "file's", "B": "$(circus.wid) $HOME", "C": "own"}


def test_a_virtualenv_s_programs_come_first_and_its_modules_last() -> None:
    env = asked(Identity(virtualenv=VENV), env={"PATH": "/x"}, copy_path=True)["env"]
    assert env == {
        "PATH": "/v/bin:/x",
        "PYTHONPATH": f"/lib/a:/lib/b:{VENV.site}",
        "VIRTUAL_ENV": "/v",
    }
    assert asked(Identity(virtualenv=VENV), env={"VIRTUAL_ENV": "/own"})["env"]["VIRTUAL_ENV"] == "/own"


def test_a_number_in_the_path_leaves_the_virtualenv_in_front() -> None:
    spec = WatcherSpec(name="w", cmd=("a",), env={"PATH": "/slot/$(circus.wid)"})
    request = template(spec, BOOT, Identity(virtualenv=VENV))
    assert with_wid(request, spec, 3)["env"]["PATH"] == "/v/bin:/slot/3"


def test_what_a_worker_may_do_travels_as_the_kernel_s_numbers() -> None:
    assert SINCE[2].isdisjoint(asked())
    request = asked(
        sched_policy="fifo", sched_priority=7, ionice_class="idle", cpu_affinity="0-3,5",
        ambient_capabilities=("CAP_KILL",), bounding_capabilities=("kill", "chown"), no_new_privs=True,
    )  # fmt: skip
    assert {key: request[key] for key in SINCE[2]} == {
        "scheduler": [1, 7], "io_priority": 3 << 13, "cpus": [[0, 3], [5, 5]], "ambient": 1 << 5,
        "bounding": 1 << 5 | 1, "no_new_privs": True,
    }  # fmt: skip
    assert asked(sched_policy="rr")["scheduler"] == [2, 1]
    assert asked(sched_policy="batch")["scheduler"] == [3, 0]
    assert asked(ionice_level=2)["io_priority"] == 2 << 13 | 2
    assert asked(ionice_class="realtime")["io_priority"] == 1 << 13 | 4


@pytest.mark.parametrize("options", [{"no_new_privs": True}, {"bounding_capabilities": ()}, {"cpu_affinity": "0"}])
def test_a_keeper_that_is_too_old_is_not_asked_for_what_it_would_leave_out(options: dict[str, Any]) -> None:
    assert is_understood(asked(), 1)
    assert not is_understood(asked(**options), 1)
    assert is_understood(asked(**options), 2)
