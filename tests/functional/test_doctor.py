"""`circus-cg doctor` tells what this very host offers: its layout, abilities and limits, and whether workers fit."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from circus_cg.spec import Limits
from tests.functional.evidence import V2
from tests.functional.groups import Place
from tests.scratch_groups import mounts


def doctor(*options: str) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "circus_cg", "doctor", *options]
    return subprocess.run(argv, capture_output=True, text=True, check=False, timeout=60)


def document(*options: str) -> dict[str, Any]:
    done = doctor("--json", *options)
    assert done.returncode == 0, done.stderr
    report: dict[str, Any] = json.loads(done.stdout)
    return report


def test_it_tells_the_layout_and_that_workers_can_be_contained() -> None:
    report = document("--cgroup-root", "/")
    shown = {one["mount"] for one in report["layout"]["hierarchies"]}
    assert shown <= set(map(str, mounts())) and shown
    versions = {one["version"] for one in report["layout"]["hierarchies"]}
    assert report["layout"]["mode"] == {(1,): "v1", (2,): "v2", (1, 2): "hybrid"}[tuple(sorted(versions))]
    assert report["ok"] is True and report["obstacles"] == []


def test_it_grades_every_limit_as_the_kernel_keeps_it(place: Place) -> None:
    grades = {one["limit"]: one["grade"] for one in document("--cgroup-root", "/")["limits"]}
    assert set(grades) == set(Limits.__struct_fields__)
    assert grades["memory_max"] == "exact"
    memory = place.layout.of("memory")
    assert memory is not None
    assert grades["memory_high"] == ("exact" if memory.version == 2 else "refused")


def test_what_it_promises_of_v2_is_there(place: Place) -> None:
    there = {one["name"]: one["there"] for one in document("--cgroup-root", "/")["abilities"]}
    unified = place.worker().v2
    assert (unified is not None) == V2
    assert there["kill at once"] == (unified is not None and Path(unified, "cgroup.kill").exists())
    assert there["pressure"] == (unified is not None and Path(unified, "cpu.pressure").exists())
    assert there["freeze"]


def test_the_text_says_what_is_lost_and_the_remedy() -> None:
    done = doctor("--cgroup-root", "/")
    assert done.returncode == 0
    assert "Workers can be contained here." in done.stdout
    assert "runs as root can leave its groups" in done.stdout
    for line in done.stdout.splitlines():
        if line.startswith("memory_high") and "refused" in line:
            assert "use memory_max, or boot with cgroup v2" in line


def test_a_root_that_is_nowhere_is_status_3_and_says_so() -> None:
    done = doctor("--cgroup-root", "/no/such/group")
    assert done.returncode == 3
    assert "cannot find a cgroup hierarchy" in done.stderr and "name a root" in done.stderr
    in_json = doctor("--json", "--cgroup-root", "/no/such/group")
    assert in_json.returncode == 3
    assert json.loads(in_json.stdout)["ok"] is False
