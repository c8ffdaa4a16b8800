"""What `ctl options` lists can be asked for and set by the keys and words of the list."""

from __future__ import annotations

import json

from circus_cg.cli.ctl.change import pairs
from circus_cg.cli.ctl.settings import listed
from circus_cg.config.options import chosen, plain, revised
from circus_cg.spec import HealthCheck, IoMax, Limits, Rlimit, ScalePolicy, StopStep, WatcherSpec

SPEC = WatcherSpec(
    name="web",
    cmd=("serve", "a b"),
    umask=0o27,
    stdout="null",
    env={"A": "1", "B.C": "dotted"},
    rlimits={"core": Rlimit(soft=0), "nofile": Rlimit(soft=5, hard=9)},
    stop=(StopStep(15, 2.0),),
    health=(HealthCheck(name="up", tcp="80"), HealthCheck(name="in.depth", exec=("probe", "x y"))),
    limits=Limits(memory_max=1 << 26, io_max=(IoMax(device="8:0", rbps=4096),)),
    autoscale=ScalePolicy(max=2),
)
SHOWN = json.loads(json.dumps(plain(SPEC)))
ROWS = dict(listed(SHOWN))


def test_each_key_can_be_asked_for() -> None:
    assert set(chosen(SHOWN, list(ROWS))) == set(ROWS)


def test_what_is_there_can_be_set_again_and_is_the_same() -> None:
    words = [f"{key}={value}" for key, value in ROWS.items() if value != "-"]
    again = revised(WatcherSpec(name="web", cmd=("other",)), pairs(words))
    assert again == SPEC


def test_below_the_top_only_what_is_set_is_listed() -> None:
    assert ROWS["limits.io_max"] == '{"8:0": {"rbps": 4096}}'
    assert '"tcp": "80"' in ROWS["health"] and "null" not in ROWS["health"]
    assert "limits.memory_max" in ROWS and "limits.cpu_max" not in ROWS
