"""The options that wait for the resource loop: complete, with defaults that obey them, and in no configuration yet."""

import msgspec
import pytest

from circus_cg.config.scaling import SCALING, pressure_problems, scale_problems
from circus_cg.config.schema import OPTIONS, fields
from circus_cg.spec import MemoryPolicy, PressurePolicy, ScalePolicy


@pytest.mark.parametrize("struct", SCALING)
def test_every_option_is_described_and_its_default_is_allowed(struct: type[msgspec.Struct]) -> None:
    assert set(SCALING[struct]) == set(fields(struct))
    policy = ScalePolicy(max=4) if struct is ScalePolicy else struct()
    for name, option in SCALING[struct].items():
        value = getattr(policy, name)
        if value is not None and option.least is not None:
            assert option.least <= value <= (option.most or value)


def test_none_of_them_may_be_written_while_nothing_acts_on_them() -> None:
    assert not {ScalePolicy, MemoryPolicy, PressurePolicy} & set(OPTIONS)


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
