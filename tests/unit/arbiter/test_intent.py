"""What the operator said is on disk when it is said, and read back by the next arbiter of the same daemon."""

from __future__ import annotations

import stat
from itertools import pairwise
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace

from circus_cg.arbiter.intent import Intent, Intents, Scaling
from circus_cg.core import autoscale
from circus_cg.host.identity import Identity
from circus_cg.spec import Limits, ScalePolicy, WatcherSpec

WEB = WatcherSpec(name="web", cmd=("serve",), env={"A": "1"})
NEW = WatcherSpec(name="new", cmd=("x",), limits=Limits(memory_max=1 << 20))
WHO = Identity(uid=33, gid=33, groups=[1])


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "intent.json"


def again(path: Path) -> Intents:
    return Intents(path, "here")


def test_nothing_said_leaves_the_configuration(path: Path) -> None:
    intents = again(path)
    assert intents.specs([WEB]) == [WEB]
    assert intents.wanted(WEB) and intents.numprocesses(WEB) == 1
    assert not path.exists()


def test_what_is_said_is_there_for_the_next_arbiter(path: Path) -> None:
    said = again(path)
    said.want(["web"], False)
    said.count("web", 7)
    said.add(NEW, WHO, wanted=True)
    after = again(path)
    assert not after.wanted(WEB) and after.numprocesses(WEB) == 7
    assert after.specs([WEB]) == [WEB, NEW]
    assert after.of("new") == Intent(added=NEW, identity=WHO, wanted=True)


def test_what_was_set_of_an_added_watcher_is_there_for_the_next_arbiter_too(path: Path) -> None:
    said = again(path)
    said.add(NEW, WHO, wanted=True)
    changed = replace(NEW, nice=3, env={"X": "1"})
    said.change(NEW, changed, WHO, {})
    assert again(path).specs([WEB]) == [WEB, changed] and again(path).merged(NEW) == changed


def test_what_is_wrong_together_with_a_changed_file_is_left_out_alone(path: Path) -> None:
    """Set while the file said 8: with a policy of min 4 and max 2 workers would be started and stopped for ever."""
    scaled = replace(WEB, autoscale=ScalePolicy(max=8))
    set_ = replace(WEB, autoscale=ScalePolicy(max=8, min=4), nice=3)
    said = again(path)
    said.change(scaled, set_, WHO, {})
    narrower = replace(scaled, autoscale=ScalePolicy(max=2))
    assert again(path).specs([narrower]) == [replace(narrower, nice=3)]
    assert again(path).specs([scaled]) == [set_]
    said = again(path)
    said.change(set_, replace(set_, autoscale=ScalePolicy(max=9, min=4)), WHO, {})
    wider = replace(set_, autoscale=ScalePolicy(max=9, min=4))
    assert again(path).specs([narrower]) == [wider], "two that were set are right together"


def test_an_option_of_a_later_version_is_kept_and_keeps_nothing_from_being_set(path: Path) -> None:
    later = {"zeal": {"of": 5}, "nice": 1}
    again(path).put("web", Intent(changed=later, dotted={"zeal.of": 5, "nice": 1}))
    again(path).change(replace(WEB, nice=1), replace(WEB, nice=2), WHO, {})
    assert again(path).of("web").changed == {**later, "nice": 2}
    assert again(path).specs([WEB]) == [replace(WEB, nice=2)]


def test_what_the_autoscaler_came_to_is_there_for_the_next_arbiter_until_the_operator_speaks(path: Path) -> None:
    scaled = replace(WEB, autoscale=ScalePolicy(max=8, min=2))
    assert again(path).numprocesses(scaled) == 2, "the configuration's number within its bounds"
    state = autoscale.State(peaks=(autoscale.Work(5.0, 1.5),), penalty=2, changed=7.0)
    again(path).scale("web", 5, state)
    assert again(path).numprocesses(scaled) == 5 and again(path).of("web").scaling == Scaling(count=5, state=state)
    assert again(path).numprocesses(WEB) == 1, "without a policy it is nobody's number"
    said = again(path)
    said.count("web", 12)
    said.scale("web", None, autoscale.pin(ScalePolicy(max=8), state, 9.0))
    assert again(path).numprocesses(scaled) == 12, "the operator's number goes before the bounds"
    scaling = again(path).of("web").scaling
    assert scaling is not None and scaling.state.pinned_until == 309.0


def test_another_daemons_file_is_not_ours(path: Path) -> None:
    again(path).want(["web"], False)
    assert Intents(path, "elsewhere").wanted(WEB)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"instance": "here", "watchers": {"web": 5}}'])
def test_a_broken_file_is_an_empty_one(path: Path, text: str) -> None:
    path.write_text(text)
    assert again(path).wanted(WEB)


def test_changed_options_are_merged_over_the_configuration_as_it_is_then(path: Path) -> None:
    changed = replace(WEB, graceful_timeout=5.0, limits=Limits(pids_max=9))
    again(path).change(WEB, changed, WHO, {1: 4})
    assert again(path).merged(WEB) == changed
    assert again(path).of("web").renew == {1: 4}
    elsewhere = replace(WEB, cmd=("other",))
    assert again(path).merged(elsewhere) == replace(changed, cmd=("other",))


def test_a_part_that_is_set_leaves_the_other_parts_to_the_configuration(path: Path) -> None:
    changed = replace(WEB, limits=Limits(memory_max=1 << 30), env={"A": "1", "LANG": "C"}, graceful_timeout=5.0)
    again(path).change(WEB, changed, WHO, {})
    later = replace(WEB, limits=Limits(memory_max=1 << 20, pids_max=500, cpu_max=2.0), env={"A": "2", "TOKEN": "new"})
    assert again(path).merged(later) == replace(
        later,
        limits=Limits(memory_max=1 << 30, pids_max=500, cpu_max=2.0),
        env={"A": "2", "TOKEN": "new", "LANG": "C"},
        graceful_timeout=5.0,
    )


def test_what_is_taken_from_a_mapping_stays_away_and_what_is_set_later_goes_before(path: Path) -> None:
    scaled = replace(WEB, autoscale=ScalePolicy(max=8))
    steps = [scaled, replace(scaled, env={}), replace(WEB, env={}), replace(scaled, env={"A": "3"})]
    steps.append(replace(steps[-1], autoscale=ScalePolicy(max=9)))
    for before, after in pairwise(steps):
        again(path).change(before, after, WHO, {})
        assert again(path).merged(scaled) == after


def test_what_is_unsaid_is_whatever_the_configuration_will_say(path: Path) -> None:
    changed = replace(WEB, graceful_timeout=5.0, limits=Limits(pids_max=9, memory_max=5), numprocesses=4)
    again(path).change(WEB, changed, WHO, {})
    back = replace(changed, graceful_timeout=WEB.graceful_timeout, limits=Limits(pids_max=9))
    again(path).unsay(back, ["graceful_timeout", "limits.memory_max"])
    later = replace(WEB, graceful_timeout=60.0, limits=Limits(pids_max=1, memory_max=7))
    assert again(path).merged(later) == replace(later, limits=Limits(pids_max=9, memory_max=7))
    assert again(path).numprocesses(later) == 4
    again(path).unsay(replace(back, limits=Limits(), numprocesses=1), ["limits", "numprocesses"])
    assert again(path).merged(later) == later and again(path).numprocesses(later) == 1


def test_an_option_that_does_not_fit_any_more_is_left_out_and_no_other(path: Path) -> None:
    scaled = replace(WEB, autoscale=ScalePolicy(max=8))
    again(path).change(scaled, replace(scaled, autoscale=ScalePolicy(max=9), nice=1), WHO, {})
    assert again(path).merged(WEB) == replace(WEB, nice=1)


# -- another version's ------------------------------------------------------------------------------------


def earlier(path: Path, changed: WatcherSpec, *options: str) -> None:
    """As a version before kept them: whole."""
    said = {key: msgspec.to_builtins(getattr(changed, key)) for key in options}
    path.write_bytes(msgspec.json.encode({"instance": "here", "version": 1, "watchers": {"web": {"changed": said}}}))


def test_what_an_earlier_version_kept_is_as_it_meant_and_can_be_changed_and_unsaid_in_parts(path: Path) -> None:
    changed = replace(WEB, limits=Limits(memory_max=5, pids_max=9), nice=3)
    earlier(path, changed, "limits", "nice")
    later = replace(WEB, limits=Limits(cpu_max=2.0, memory_max=1), graceful_timeout=9.0)
    assert again(path).merged(later) == replace(later, limits=changed.limits, nice=3), "limits are its, all of them"
    now = replace(changed, limits=Limits(memory_max=6, pids_max=9))
    again(path).change(changed, now, WHO, {})
    assert again(path).merged(later) == replace(later, limits=now.limits, nice=3)
    back = replace(now, limits=Limits(memory_max=1, pids_max=9))
    again(path).unsay(back, ["limits.memory_max"])
    elsewhere = replace(later, limits=Limits(cpu_max=2.0, memory_max=2))
    assert again(path).merged(elsewhere) == replace(elsewhere, limits=Limits(memory_max=2, pids_max=9), nice=3)


def test_an_earlier_version_that_comes_back_finds_what_was_set_and_its_word_is_the_last(path: Path) -> None:
    """An upgrade has a way back: that version knows whole options, and nothing of how ours are kept."""
    changed = replace(WEB, limits=Limits(memory_max=5), env={"A": "1", "B.C": "2"})
    again(path).change(WEB, changed, WHO, {})
    kept = msgspec.json.decode(path.read_bytes())["watchers"]["web"]["changed"]
    assert msgspec.convert({**msgspec.to_builtins(WEB), **kept}, WatcherSpec) == changed, "what it makes of the file"
    earlier(path, replace(changed, env={}), "limits", "env")
    assert again(path).merged(WEB) == replace(changed, env={})


def test_an_option_set_back_to_its_default_is_set_back(path: Path) -> None:
    configured = replace(WEB, graceful_timeout=5.0, nice=3)
    default = replace(configured, graceful_timeout=30.0, nice=None)
    again(path).change(configured, default, WHO, {})
    assert again(path).merged(configured) == default


def test_a_count_that_is_set_is_pinned_and_another_change_keeps_the_pin(path: Path) -> None:
    intents = again(path)
    intents.change(WEB, replace(WEB, numprocesses=4), WHO, {})
    intents.change(replace(WEB, numprocesses=4), replace(WEB, numprocesses=4, nice=1), WHO, {})
    assert again(path).numprocesses(WEB) == 4


def test_a_removed_watcher_keeps_its_rules_until_it_has_gone(path: Path) -> None:
    intents = again(path)
    intents.add(NEW, WHO, wanted=True)
    intents.remove("new")
    assert again(path).of("new").removed and again(path).specs([WEB]) == [WEB, NEW]
    intents.gone("new", configured=False)
    assert again(path).specs([WEB]) == [WEB] and not again(path).of("new").removed


def test_a_removed_watcher_of_the_configuration_stays_removed_until_it_is_added_again(path: Path) -> None:
    intents = again(path)
    intents.remove("web")
    intents.gone("web", configured=True)
    assert again(path).of("web").removed
    other = replace(WEB, cmd=("other",))
    intents.add(other, WHO, wanted=False)
    assert not again(path).of("web").removed and again(path).specs([WEB]) == [other]


def test_lives_to_be_renewed_are_kept_one_generation_a_worker(path: Path) -> None:
    intents = again(path)
    intents.renew({"web": {1: 3, 2: 5}})
    intents.renew({"web": {1: 4}})
    assert again(path).of("web").renew == {1: 4, 2: 5}


def test_nobody_else_can_read_it(path: Path) -> None:
    again(path).change(WEB, replace(WEB, env={"TOKEN": "s3cret"}), WHO, {})
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(path.parent.iterdir()) == [path]


def test_who_stands_still_and_who_is_replaced_one_by_one_is_known_to_the_next_arbiter(path: Path) -> None:
    intents = again(path)
    intents.freeze({"web": {1: 3, 2: 5}, "new": {1: 1}})
    intents.freeze({"web": {1: 4}})
    intents.thaw({"web": [2, 9], "new": [1]})
    intents.roll("web", {3: 7})
    assert again(path).of("web").frozen == {1: 4} and again(path).of("new").frozen == {}
    assert again(path).of("web").rolling == {3: 7}
    intents.roll("web", {})
    assert again(path).of("web").rolling == {}


def test_the_log_level_stays_whatever_else_is_said(path: Path) -> None:
    intents = again(path)
    assert intents.loglevel is None
    intents.say_level("debug")
    intents.want(["web"], False)
    assert again(path).loglevel == "debug" and not again(path).wanted(WEB)
    assert Intents(path, "elsewhere").loglevel is None
