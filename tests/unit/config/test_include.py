"""Included files: more watchers, judged together with the first file's, each mistake with its file and line."""

from __future__ import annotations

import pytest

from circus_cg.config import native, nodes
from circus_cg.config.document import Found, Text
from circus_cg.errors import ConfigError
from circus_cg.spec import ArbiterSpec

Files = dict[str, str]


def read(main: str, files: Files) -> ArbiterSpec:
    """`files` are included by the item `all`, in their order; any other item by its own name."""

    def find(pattern: str) -> Found:
        if pattern == "all":
            return Found(tuple(Text(*item) for item in files.items()))
        if pattern not in files:
            return Found(problems=("not there",))
        return Found((Text(pattern, files[pattern]),))

    return native.read(main, "shop.yaml", {"PORT": "80"}, find)


def problems(main: str, files: Files) -> list[str]:
    with pytest.raises(ConfigError) as raised:
        read(main, files)
    return raised.value.problems


def test_watchers_come_in_the_order_of_the_files() -> None:
    spec = read(
        "name: shop\ninclude: [b.yaml, a.yaml]\nwatchers: {z: {cmd: x}}",
        {"a.yaml": "watchers: {a: {cmd: x}}", "b.yaml": "watchers: {c: {cmd: x}, b: {cmd: x}}"},
    )
    assert spec.name == "shop"
    assert [watcher.name for watcher in spec.watchers] == ["z", "c", "b", "a"]


def test_the_common_env_and_the_environment_reach_included_watchers() -> None:
    spec = read(
        "include: [all]\nenv: {A: 1, B: 2}", {"a.yaml": "watchers: {a: {cmd: x $(circus.env.PORT), env: {B: own}}}"}
    )
    assert spec.watchers[0].env == {"A": "1", "B": "own"}
    assert spec.watchers[0].cmd == ("x", "80")


@pytest.mark.parametrize("text", ["", "# nothing yet\n", "watchers:\n", "{}"])
def test_an_included_file_may_have_nothing_to_say(text: str) -> None:
    assert read("include: [all]", {"a.yaml": text}) == ArbiterSpec()


def test_a_watcher_defined_twice_is_told_with_both_places() -> None:
    files = {"a.yaml": "watchers:\n  web: {cmd: x}\n  jobs: {cmd: x}", "b.yaml": "\nwatchers:\n  jobs: {cmd: y}"}
    assert problems("include: [all]\nwatchers: {web: {cmd: x}}", files) == [
        "a.yaml:2: duplicate watcher 'web'; shop.yaml:2 has it already",
        "b.yaml:3: duplicate watcher 'jobs'; a.yaml:3 has it already",
    ]


def test_names_that_differ_in_case_only_collide_across_files() -> None:
    (told,) = problems("include: [all]\nwatchers: {web: {cmd: x}}", {"a.yaml": "\nwatchers: {WEB: {cmd: x}}"})
    assert told.startswith("a.yaml:2: watcher 'WEB': collides with watcher 'web'")


def test_an_included_file_has_watchers_and_own_keys_only() -> None:
    files = {"a.yaml": "x-own: &own {nice: 1}\nname: other\nenv: {A: b}\ninclude: [c]\nwatcher: {}"}
    told = "can't stand in an included file; write it in the file that includes this one"
    assert problems("include: [all]", files) == [
        f"a.yaml:2: 'name' {told}",
        f"a.yaml:3: 'env' {told}",
        f"a.yaml:4: 'include' {told}",
        "a.yaml:5: unknown key 'watcher' at the top level; did you mean 'watchers'?",
    ]


def test_all_mistakes_of_all_files_are_told_at_once() -> None:
    files = {
        "a.yaml": "watchers:\n  a:\n    cmd: x\n    limits:\n      memory_max: 5X\n  b: {cmd: x, nice: 40}\n",
        "b.yaml": "watchers: [",
        "c.yaml": "\n\n- a list",
        "d.yaml": "watchers: {d: {}}\n",
    }
    assert problems("nam: shop\ninclude: [all, none]\nwatchers: {web: {cmd: x, umask: 999}}", files) == [
        "shop.yaml:1: unknown key 'nam' at the top level; did you mean 'name'?",
        "shop.yaml:2: include 'none': not there",
        "shop.yaml:3: umask in watcher 'web': '999' is wrong; expected an octal mask from 000 to 777 such as 022",
        "a.yaml:5: memory_max in limits of watcher 'a': '5X' is wrong; expected bytes such as 512M, 1.5G or a number",
        "a.yaml:6: nice in watcher 'b': 40 is out of range; expected -20 to 19",
        "b.yaml:2: no YAML: while parsing a flow node, did not find expected node content; correct it",
        "c.yaml:3: expected a mapping at the top level, found a list",
        "d.yaml:1: missing key 'cmd' in watcher 'd'",
    ]


def test_anchors_do_not_reach_from_file_to_file() -> None:
    (told,) = problems("include: [all]\nx-a: &a {nice: 1}", {"a.yaml": "watchers: {a: {<<: *a, cmd: x}}"})
    assert told == "a.yaml:1: no YAML: found undefined alias; correct it"


@pytest.mark.parametrize(
    ("include", "told"),
    [
        ("a.yaml", "include: 'a.yaml' is wrong; expected a list"),
        ("{a: b}", "include: expected a list, found a mapping"),
        ("[[a]]", "include: expected text, found a list"),
        ("[ ]\ninclude: [a]", "duplicate key 'include' at the top level; line 1 has it already"),
    ],
)
def test_include_is_a_list_of_names_and_patterns(include: str, told: str) -> None:
    (line,) = problems(f"include: {include}", {"a.yaml": ""})
    assert line.endswith(told)


def test_files_count_together_against_the_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nodes, "MAX_NODES", 36)
    files = {f"{name}.yaml": f"watchers: {{{name}: {{cmd: [x, 1, 2, 3, 4, 5, 6]}}}}" for name in "abcd"}
    assert len(read("include: [a.yaml, b.yaml, c.yaml]", files).watchers) == 3
    (told,) = problems("include: [all]", files)
    assert told.startswith("d.yaml: too large or too deep; expected at most ")


def test_a_text_that_may_include_nothing_says_so() -> None:
    with pytest.raises(ConfigError, match=r"^shop.yaml:1: include 'a': there are no files to include here$"):
        native.read("include: [a]", "shop.yaml")
