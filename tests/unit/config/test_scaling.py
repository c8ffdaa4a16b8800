"""The options of the resource loop: complete, with defaults that obey them, read from wherever options come from."""

import msgspec
import pytest

from circus_cg.config import native
from circus_cg.config.options import revised
from circus_cg.config.scaling import SCALING, pressure_problems, scale_problems
from circus_cg.config.schema import OPTIONS, fields
from circus_cg.errors import ConfigError
from circus_cg.spec import MemoryPolicy, PressurePolicy, ScalePolicy, WatcherSpec
from tests.unit.config.asking import ours


@pytest.mark.parametrize("struct", SCALING)
def test_every_option_is_described_and_its_default_is_allowed(struct: type[msgspec.Struct]) -> None:
    assert set(SCALING[struct]) == set(fields(struct))
    policy = ScalePolicy(max=4) if struct is ScalePolicy else struct()
    for name, option in SCALING[struct].items():
        value = getattr(policy, name)
        if value is not None and option.least is not None:
            assert option.least <= value <= (option.most or value)


def test_they_are_part_of_the_option_table() -> None:
    assert {ScalePolicy, MemoryPolicy, PressurePolicy} <= set(OPTIONS)


def web(text: str) -> WatcherSpec:
    return native.read(f"watchers: {{web: {{cmd: serve, {text}}}}}", "x.yaml").watchers[0]


def test_a_policy_is_read_and_is_not_there_unless_it_is_written() -> None:
    assert web("numprocesses: 2").autoscale is None
    assert web("autoscale: {max: 4, cpus: 2}").autoscale == ScalePolicy(max=4, cpus=2)
    assert web("memory_policy: {restart_above: 64M}").memory_policy.restart_above == 64 << 20


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("autoscale: {}", "missing key 'max'"),
        ("autoscale: {max: 2, min: 3}", "min"),
        ("singleton: true, autoscale: {max: 2}", "singleton"),
        ("limits: {memory_high: 64M}, memory_policy: {stalled_at: null}", "without end"),
    ],
)
def test_a_policy_that_cannot_be_meant_is_refused(text: str, said: str) -> None:
    with pytest.raises(ConfigError) as refused:
        web(text)
    assert said in str(refused.value)


def test_a_policy_is_set_by_its_parts_while_the_daemon_runs() -> None:
    spec = revised(WatcherSpec(name="w", cmd=("x",)), {"autoscale.max": 4})
    assert spec.autoscale == ScalePolicy(max=4)
    assert revised(spec, {"autoscale.min": "2"}).autoscale == ScalePolicy(max=4, min=2)
    assert revised(spec, {"autoscale": None}).autoscale is None
    assert revised(WatcherSpec(name="w", cmd=("x",)), {"autoscale.min": 2, "autoscale.max": 3}).autoscale is not None
    assert revised(spec, {"autoscale": {"max": 3, "sample": "1s"}}).autoscale == ScalePolicy(max=3, sample=1)
    with pytest.raises(ConfigError, match=r"autoscale.max is missing"):
        revised(WatcherSpec(name="w", cmd=("x",)), {"autoscale.min": 2})


def test_a_circus_ini_may_have_them_too() -> None:
    text = "[circus]\npressure.full_at = 40\ncontrol.rate = 5\n[watcher:w]\ncmd = x\n"
    read = ours(f"{text}autoscale.max = 4\nmemory_policy.restart_above = 1M\n").spec
    assert read.pressure == PressurePolicy(full_at=40.0) and read.control.rate == 5
    assert read.watchers[0].autoscale == ScalePolicy(max=4)
    assert read.watchers[0].memory_policy.restart_above == 1 << 20


def test_the_defaults_contradict_nothing() -> None:
    assert not list(scale_problems(ScalePolicy(max=1)))
    assert not list(pressure_problems(PressurePolicy()))


@pytest.mark.parametrize(
    ("policy", "option"),
    [
        (ScalePolicy(max=2, min=3), "min"),
        (ScalePolicy(max=2, shrink_at=0.7), "shrink_at"),
        (ScalePolicy(max=2, target=0.9), "grow_at"),
    ],
)
def test_bounds_and_thresholds_that_cross_are_told(policy: ScalePolicy, option: str) -> None:
    assert [name for name, _ in scale_problems(policy)] == [option]


def test_calm_is_less_than_pressure() -> None:
    assert [name for name, _ in pressure_problems(PressurePolicy(calm_at=70.0))] == ["calm_at"]
