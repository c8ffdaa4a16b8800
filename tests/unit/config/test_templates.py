"""Templates: anchors below `x-` keys, merged at any depth; their mistakes are theirs, told once."""

from __future__ import annotations

import pytest

from circus_cg.config import native
from circus_cg.errors import ConfigError
from circus_cg.spec import ArbiterSpec, Backoff, Limits, WatcherSpec


def read(text: str) -> ArbiterSpec:
    return native.read(text, "shop.yaml")


def problems(text: str) -> list[str]:
    with pytest.raises(ConfigError) as raised:
        read(text)
    return raised.value.problems


def test_templates_of_templates_merge_at_every_depth() -> None:
    spec = read(
        "x-small: &small {memory_max: 64M, pids_max: 16}\n"
        "x-slow: &slow {initial: 5s}\n"
        "x-env: &env {LANG: C, TZ: UTC}\n"
        "x-base: &base {nice: 5, umask: 077, limits: &limits {<<: *small, cpu_max: 0.5}, env: *env}\n"
        "x-jobs: &jobs {<<: *base, backoff: {<<: *slow, max: 60s}}\n"
        "watchers:\n"
        "  jobs: {<<: *jobs, cmd: work, limits: {<<: [*limits], pids_max: 32}, env: {<<: *env, TZ: CET}}\n"
        "  web: {<<: [{nice: 1}, *jobs], cmd: serve}\n"
    )
    backoff = Backoff(initial=5.0, max=60.0)
    assert spec.watchers == (
        WatcherSpec(
            name="jobs",
            cmd=("work",),
            nice=5,
            limits=Limits(memory_max=64 << 20, pids_max=32, cpu_max=0.5),
            env={"LANG": "C", "TZ": "CET"},
            umask=0o77,
            backoff=backoff,
        ),
        WatcherSpec(
            name="web",
            cmd=("serve",),
            nice=1,
            limits=Limits(memory_max=64 << 20, pids_max=16, cpu_max=0.5),
            env={"LANG": "C", "TZ": "UTC"},
            umask=0o77,
            backoff=backoff,
        ),
    )


def test_a_mistake_in_a_template_is_told_once_at_its_line() -> None:
    assert problems(
        "x-base: &base\n"
        "  nice: 40\n"
        "  numproceses: 2\n"
        "  limits: &limits\n"
        "    memory_max: 12X\n"
        "watchers:\n"
        "  a: {<<: *base, cmd: x}\n"
        "  b: {<<: *base, cmd: x}\n"
        "  c: {<<: *base, cmd: x, watcher_limits: *limits}\n"
    ) == [
        "shop.yaml:2: nice in watcher 'a': 40 is out of range; expected -20 to 19 (and 2 more uses of these lines)",
        "shop.yaml:3: unknown key 'numproceses' in watcher 'a'; did you mean 'numprocesses'? (and 2 more uses of these"
        " lines)",
        "shop.yaml:5: memory_max in limits of watcher 'a': '12X' is wrong; expected bytes such as 512M, 1.5G or a"
        " number (and 3 more uses of these lines)",
    ]


def test_the_same_mistake_in_two_places_of_a_line_is_told_twice() -> None:
    assert problems("watchers: {a: {cmd: x, nice: 40}, b: {cmd: x, nice: 40}}") == [
        "shop.yaml:1: nice in watcher 'a': 40 is out of range; expected -20 to 19",
        "shop.yaml:1: nice in watcher 'b': 40 is out of range; expected -20 to 19",
    ]


def test_what_each_use_lacks_is_told_at_each_use() -> None:
    assert problems("x-a: &a {nice: 1}\nwatchers:\n  a: {<<: *a}\n  b: *a\n") == [
        "shop.yaml:3: missing key 'cmd' in watcher 'a'",
        "shop.yaml:4: missing key 'cmd' in watcher 'b'",
    ]


@pytest.mark.parametrize("merged", ["5", "[5]", "[[{}]]"])
def test_only_mappings_can_be_merged(merged: str) -> None:
    (told,) = problems(f"watchers:\n  web:\n    <<: {merged}\n    cmd: x\n")
    assert told.startswith("shop.yaml:3: expected a mapping in watcher 'web', found ")


def test_an_operator_s_own_keys_stand_at_the_top_only() -> None:
    assert read("x-own: [anything, {at: all}]").watchers == ()
    assert problems("watchers: {web: {cmd: x, x-own: 1}}") == ["shop.yaml:1: unknown key 'x-own' in watcher 'web'"]
