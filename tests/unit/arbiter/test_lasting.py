"""What is set to outlast the daemon goes over the configuration as it is then, and says nothing of what is run."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from circus_cg.arbiter.intent import Intents
from circus_cg.arbiter.lasting import FILE, Lasting, configured_alone
from circus_cg.host.identity import Identity
from circus_cg.spec import IoMax, Limits, WatcherSpec

MB = 1 << 20
WEB = WatcherSpec(name="web", cmd=("serve",), limits=Limits(memory_max=64 * MB, pids_max=9))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / FILE


def test_what_is_kept_is_there_at_the_next_start_over_a_configuration_that_changed_elsewhere(path: Path) -> None:
    now = replace(WEB, limits=Limits(memory_max=128 * MB, pids_max=3), numprocesses=4)
    Lasting(path).keep(WEB, now, ["limits.memory_max", "numprocesses"])
    later = replace(WEB, cmd=("serve", "-v"), limits=Limits(memory_max=1 * MB, pids_max=5))
    over = Lasting(path).over(later)
    assert over == replace(later, limits=Limits(memory_max=128 * MB, pids_max=5), numprocesses=4)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert Lasting(path).over(replace(WEB, name="other")).limits == WEB.limits


def test_a_whole_mapping_keeps_what_differs_in_it_and_a_lifted_limit_stays_lifted(path: Path) -> None:
    now = replace(WEB, limits=Limits(cpu_max=1.5, io_max=(IoMax(device="8:0", rbps=1),), pids_max=9))
    kept = Lasting(path)
    kept.keep(WEB, now, ["limits"])
    assert set(kept.of("web")) == {"limits.memory_max", "limits.cpu_max", "limits.io_max"}
    assert Lasting(path).over(WEB) == now


def test_setting_what_is_configured_forgets_it(path: Path) -> None:
    kept = Lasting(path)
    kept.keep(WEB, replace(WEB, limits=Limits(), graceful_timeout=1.0), ["limits", "graceful_timeout"])
    kept.keep(WEB, replace(WEB, graceful_timeout=1.0), ["limits.memory_max"])
    assert set(kept.of("web")) == {"limits.pids_max", "graceful_timeout"}
    kept.keep(WEB, WEB, ["limits", "graceful_timeout"])
    assert Lasting(path).of("web") == {} and Lasting(path).over(WEB) == WEB


def test_intents_go_over_it(tmp_path: Path, path: Path) -> None:
    kept = Lasting(path)
    kept.keep(WEB, replace(WEB, graceful_timeout=1.0, max_retry=7), ["graceful_timeout", "max_retry"])
    intents = Intents(tmp_path / "intent.json", "here", kept.over)
    (base,) = intents.specs([WEB])
    intents.change(base, replace(base, graceful_timeout=2.0), Identity(), {})
    (spec,) = intents.specs([WEB])
    assert (spec.graceful_timeout, spec.max_retry) == (2.0, 7)


def test_what_a_worker_is_born_with_can_not_be_smuggled_in(path: Path) -> None:
    """Whoever can write the file may set limits; what runs as root stays the configuration's word."""
    said = {"cmd": ["evil"], "uid": 0, "env.LD_PRELOAD": "x", "limits.pids_max": 2}
    path.write_bytes(msgspec.json.encode({"version": 1, "watchers": {"web": said}}))
    assert Lasting(path).over(WEB) == replace(WEB, limits=Limits(memory_max=64 * MB, pids_max=2))
    assert configured_alone(["limits.pids_max", "cmd", "env.A", "numprocesses"]) == ["cmd", "env.A"]


@pytest.mark.parametrize(
    "said", [{"limits.pids_max": "many"}, {"limits.nothing": 1}, {"limits": 5}, {"max_retry.x": 1}]
)
def test_what_does_not_fit_any_more_leaves_the_configuration(path: Path, said: dict[str, Any]) -> None:
    path.write_bytes(msgspec.json.encode({"version": 1, "watchers": {"web": said}}))
    assert Lasting(path).over(WEB) == WEB


@pytest.mark.parametrize("text", ["", "{", "[]", '{"watchers": {"web": 5}}'])
def test_a_broken_file_is_kept_beside_and_the_daemon_begins(path: Path, text: str) -> None:
    path.write_text(text)
    assert Lasting(path).over(WEB) == WEB
    assert path.with_suffix(".broken").read_text() == text and not path.exists()
