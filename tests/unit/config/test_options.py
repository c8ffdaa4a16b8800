"""Options given by name at run time: the configuration's units, names and errors, whoever sends them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from circus_cg.config.options import chosen, plain, revised
from circus_cg.config.schema import fields
from circus_cg.errors import ConfigError
from circus_cg.spec import IoMax, Limits, Rlimit, StopStep, WatcherSpec

SPEC = WatcherSpec(name="web", cmd=("serve",), env={"A": "1"}, limits=Limits(memory_max=1 << 26))


def problems(options: dict[str, Any]) -> list[str]:
    with pytest.raises(ConfigError) as refused:
        revised(SPEC, options)
    return refused.value.problems


@pytest.mark.parametrize(
    ("options", "field", "value"),
    [
        ({"numprocesses": 3}, "numprocesses", 3),
        ({"numprocesses": "3"}, "numprocesses", 3),
        ({"graceful_timeout": "1m30s"}, "graceful_timeout", 90.0),
        ({"graceful_timeout": 2.5}, "graceful_timeout", 2.5),
        ({"stop_signal": "INT"}, "stop_signal", 2),
        ({"stop_signal": 9}, "stop_signal", 9),
        ({"cmd": "sh -c 'a b'"}, "cmd", ("sh", "-c", "a b")),
        ({"cmd": ["sh", "x y"]}, "cmd", ("sh", "x y")),
        ({"uid": 33}, "uid", 33),
        ({"uid": "www-data"}, "uid", "www-data"),
        ({"groups": ["a", 3]}, "groups", ("a", 3)),
        ({"umask": "022"}, "umask", 0o22),
        ({"umask": "22"}, "umask", 0o22),
        ({"umask": 0o77}, "umask", 0o77),
        ({"copy_env": "yes"}, "copy_env", True),
        ({"copy_env": False}, "copy_env", False),
        ({"env": {"B": 2}}, "env", {"B": "2"}),
        ({"env.B": "2"}, "env", {"A": "1", "B": "2"}),
        ({"env.A": None}, "env", {}),
        ({"env": None}, "env", {}),
        ({"env.a.b": "dotted"}, "env", {"A": "1", "a.b": "dotted"}),
        ({"rlimit_nofile": "64K"}, "rlimits", {"nofile": Rlimit(soft=65536, hard=65536)}),
        ({"rlimits": {"core": [0, "infinity"]}}, "rlimits", {"core": Rlimit(soft=0)}),
        ({"rlimit_core": ""}, "rlimits", {"core": Rlimit()}),
        ({"limits.pids_max": 5}, "limits", Limits(memory_max=1 << 26, pids_max=5)),
        ({"limits": {"cpu_max": "150%"}}, "limits", Limits(cpu_max=1.5)),
        ({"limits.memory_max": "max"}, "limits", Limits()),
        ({"limits.memory_max": None}, "limits", Limits()),
        ({"limits": {"io_max": {"8:0": {"rbps": 4096}}}}, "limits", Limits(io_max=(IoMax(device="8:0", rbps=4096),))),
        ({"working_dir": None}, "working_dir", None),
        ({"stdout": "null"}, "stdout", "null"),
    ],
)  # fmt: skip
def test_a_value_is_read_as_configuration_reads_it(options: dict[str, Any], field: str, value: object) -> None:
    assert getattr(revised(SPEC, options), field) == value


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"gracful_timeout": 1}, "unknown option 'gracful_timeout'; did you mean 'graceful_timeout'?"),
        ({"limits.memory_mx": "1M"}, "did you mean 'limits.memory_max'?"),
        ({"memory": "64M"}, "did you mean 'limits.memory_max'?"),
        ({"on_demand": True}, "unknown option 'on_demand'"),
        ({"stop": "TERM"}, "stop: 'TERM' is wrong; expected a signal and the seconds it has, such as TERM 10s"),
        ({"stop": ["TERM 10s", "FOO 1s"]}, "stop: 'FOO' is wrong; expected a signal"),
        ({"success_exit_status": [256]}, "success_exit_status: 256 is out of range; expected 0 to 255"),
        ({"success_exit_status": "75 FOO"}, "success_exit_status: 'FOO' is neither a code nor a signal"),
        ({"restart": "sometimes"}, "restart: 'sometimes' is wrong; expected always or on-failure"),
        ({"graceful_timeout": "soon"}, "graceful_timeout: 'soon' is wrong; expected a time"),
        ({"graceful_timeout": True}, "graceful_timeout: expected seconds such as 30s or 500ms, found a boolean"),
        ({"limits": 5}, "limits: expected a mapping, found a number"),
        ({"limits.io_max": ["8:0"]}, "limits.io_max: expected a mapping, found a list"),
        ({"nice": 99}, "nice: 99 is out of range; expected -20 to 19"),
        ({"umask": 0o1000}, "umask: 512 is out of range"),
        ({"umask": -1}, "umask: -1 is out of range"),
        ({"umask": 22.0}, "umask: expected an octal mask such as 022, found a number"),
        ({"nice.x": 1}, "nice has no parts"),
        ({"cmd": None}, "cmd: expected a command: a list or text, found null"),
        ({"cmd": ""}, "cmd: no program"),
        ({"rlimit_frobs": 1}, "rlimits.frobs: no such limit"),
        ({"working_dir": "here"}, "working_dir: 'here' is no absolute path"),
        ({"numprocesses": "many"}, "numprocesses: 'many' is wrong; expected a whole number"),
        ({"name": "other"}, "unknown option 'name'"),
    ],
)
def test_what_is_wrong_is_told_by_the_options_name(options: dict[str, Any], told: str) -> None:
    (found,) = problems(options)
    assert told in found


def test_all_that_is_wrong_is_told_at_once() -> None:
    assert len(problems({"nice": 99, "foo": 1, "limits.cpu_max": "x", "env.A=": "1"})) == 4


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"autoscale.max": "two"}, ["autoscale.max: 'two' is wrong; expected a whole number"]),
        ({"autoscale": {"max": "x"}}, ["autoscale.max: 'x' is wrong; expected a whole number"]),
        ({"autoscale": {"max": [2], "min": 1}}, ["autoscale.max: expected a whole number, found a list"]),
        ({"autoscale.max": "two", "autoscale.min": "2"}, ["autoscale.max: 'two' is wrong"]),
        ({"autoscale": {"max": "two", "min": "x"}}, ["autoscale.max: 'two' is wrong", "autoscale.min: 'x' is wrong"]),
        ({"autoscale.max": "two", "nice": 99}, ["autoscale.max: 'two' is wrong", "nice: 99 is out of range"]),
    ],
)
def test_a_new_policy_whose_required_part_is_wrong_is_refused(options: dict[str, Any], told: list[str]) -> None:
    found = problems(options)
    assert len(found) == len(told) and all(map(str.startswith, found, told)), found


def test_a_variables_value_is_in_no_message() -> None:
    assert not any("s3cret" in text for text in problems({"env": {"A": ["s3cret"]}, "env.T=": "s3cret"}))
    assert not any("s3cret" in text for text in problems({"env.A": "s3cret\0"}))


def test_plain_has_every_option_and_reads_back_as_itself() -> None:
    full = revised(SPEC, {"rlimit_nofile": 5, "limits.io_max": {"8:0": {"rbps": 4096}}, "groups": [1, "a"]})
    shown = json.loads(json.dumps(plain(full)))
    assert set(shown) == set(fields(WatcherSpec))
    assert revised(SPEC, {key: value for key, value in shown.items() if value is not None}) == full


def test_a_mask_is_shown_as_one_writes_it_and_a_number_is_that_number() -> None:
    """077, not 63: which written back would be the mask 063."""
    changed = revised(SPEC, {"umask": "077"})
    assert plain(changed)["umask"] == "077"
    assert revised(SPEC, {"umask": plain(changed)["umask"]}) == changed == revised(SPEC, {"umask": 63})


def test_single_options_are_chosen_dotted_ones_too() -> None:
    shown = plain(SPEC)
    assert chosen(shown, ["limits.memory_max", "env.A", "nice"]) == {
        "limits.memory_max": 1 << 26,
        "env.A": "1",
        "nice": None,
    }
    with pytest.raises(ConfigError, match="did you mean 'nice'"):
        chosen(shown, ["nise"])


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
DOTTED = ("limits.memory_max", "limits.io_max", "env.A", "rlimit_core", "autoscale.max", "autoscale.min", ".", "a.b")
KEYS = st.sampled_from([*fields(WatcherSpec), *DOTTED])


@given(st.dictionaries(KEYS | st.text(max_size=8), JSON, max_size=4))
def test_whatever_is_sent_is_understood_or_refused(options: dict[str, Any]) -> None:
    try:
        assert isinstance(revised(SPEC, options), WatcherSpec)
    except ConfigError as refused:
        assert refused.problems


@pytest.mark.parametrize(
    ("written", "restart"), [(False, "never"), ("false", "never"), (True, "always"), (None, "always")]
)
def test_circus_s_word_for_a_restart_is_understood(written: object, restart: str) -> None:
    assert revised(SPEC, {"respawn": written}).restart == restart


def test_steps_of_a_stop_are_text_and_come_back_as_such() -> None:
    changed = revised(SPEC, {"stop": "TERM 10s, SIGINT 0.5"})
    assert changed.stop == (StopStep(15, 10.0), StopStep(2, 0.5))
    assert plain(changed)["stop"] == ["TERM 10s", "INT 0.5s"]
    assert revised(SPEC, {"stop": plain(changed)["stop"]}) == changed
    assert revised(changed, {"stop": None}).stop == ()
