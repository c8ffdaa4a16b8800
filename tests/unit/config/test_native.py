"""YAML to specs: what is right means what it says, what is wrong is told whole and with its line."""

from __future__ import annotations

import time

import pytest

from circus_cg.config import native, schema
from circus_cg.errors import ConfigError
from circus_cg.spec import ArbiterSpec, WatcherSpec
from tests.unit.config.whole import SPEC, WHOLE


def read(text: str) -> ArbiterSpec:
    return native.read(text, "shop.yaml")


def watcher(options: str) -> WatcherSpec:
    return read(f"watchers: {{web: {{cmd: serve, {options}}}}}").watchers[0]


def problems(text: str) -> list[str]:
    with pytest.raises(ConfigError) as raised:
        read(text)
    return raised.value.problems


def problem(options: str) -> str:
    """The only problem of a watcher with these options, without its place in the file."""
    (line,) = problems(f"watchers: {{web: {{cmd: serve, {options}}}}}")
    return line.removeprefix("shop.yaml:1: ")


def test_every_option_arrives_as_plain_numbers() -> None:
    assert read(WHOLE) == SPEC


def test_the_example_of_every_option_names_every_option() -> None:
    for struct in schema.OPTIONS:
        assert [key for key in schema.fields(struct) if f"{key}:" not in WHOLE and key not in ("riops",)] == []


def test_what_is_left_out_or_left_empty_has_its_default() -> None:
    expected = ArbiterSpec(watchers=(WatcherSpec(name="web", cmd=("serve", "8080")),))
    assert read("watchers: {web: {cmd: [serve, 8080]}}") == expected
    assert read("watchers: {web: {cmd: [serve, 8080], limits: , env: , uid: }}") == expected


def test_merged_keys_give_way_to_a_mapping_s_own() -> None:
    spec = read(
        "x-common: &common {numprocesses: 2, nice: 5}\n"
        "x-other: &other {nice: 7, umask: 077}\n"
        "watchers:\n"
        "  a: &a {<<: [*common, *other], cmd: x}\n"
        "  b: {<<: *a, numprocesses: 3}\n"
    )
    a, b = spec.watchers
    assert (a.numprocesses, a.nice, a.umask) == (2, 5, 0o77)
    assert (b.numprocesses, b.nice, b.umask, b.cmd) == (3, 5, 0o77, ("x",))


@pytest.mark.parametrize("written", ["022", "22", "0o22", "'022'"])
def test_a_mask_is_octal_as_it_is_written_whatever_number_yaml_makes_of_it(written: str) -> None:
    assert watcher(f"umask: {written}").umask == 0o22


def test_all_problems_are_told_at_once_in_the_order_of_the_file() -> None:
    assert problems(
        "name: ../up\n"
        "watchers:\n"
        "  web:\n"
        "    cmd: serve\n"
        "    numproceses: 2\n"
        "    limits:\n"
        "      memory_max: 512X\n"
        "      cpu_weight: 0\n"
        "  jobs:\n"
        "    nice: 40\n"
    ) == [
        "shop.yaml:1: name: '../up' can't be a name; expected at most 64 of letters, digits, '_', '-' and '.',"
        " beginning with none of '-' and '.'",
        "shop.yaml:5: unknown key 'numproceses' in watcher 'web'; did you mean 'numprocesses'?",
        "shop.yaml:7: memory_max in limits of watcher 'web': '512X' is wrong; expected bytes such as 512M, 1.5G or a"
        " number",
        "shop.yaml:8: cpu_weight in limits of watcher 'web': 0 is out of range; expected 1 to 10000",
        "shop.yaml:9: missing key 'cmd' in watcher 'jobs'",
        "shop.yaml:10: nice in watcher 'jobs': 40 is out of range; expected -20 to 19",
    ]


def test_a_hundred_problems_are_enough() -> None:
    told = problems("".join(f"nokey{i}: 1\n" for i in range(150)))
    assert len(told) == 101
    assert told[-1] == "shop.yaml: 50 more problems are not shown"


@pytest.mark.parametrize(
    ("key", "meant"),
    [
        ("numproceses", "numprocesses"),
        ("Working-Dir", "working_dir"),
        ("command", "cmd"),
        ("user", "uid"),
        ("memory_max", "limits.memory_max"),
        ("memory.max", "limits.memory_max"),
        ("cpus", "limits.cpu_max"),
        ("retry_in", "flapping.retry_in"),
    ],
)
def test_an_unknown_key_is_told_with_the_nearest_name(key: str, meant: str) -> None:
    assert problem(f"{key}: 1") == f"unknown key '{key}' in watcher 'web'; did you mean '{meant}'?"


def test_the_name_others_give_a_limit_leads_to_ours() -> None:
    told = problem("limits: {memory_limit: 1G}")
    assert told == "unknown key 'memory_limit' in limits of watcher 'web'; did you mean 'memory_max'?"


def test_a_key_like_none_of_ours_is_told_without_a_guess() -> None:
    assert problem("zzz: 1") == "unknown key 'zzz' in watcher 'web'"


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ('numprocesses: "2"', "numprocesses: expected a whole number, found the text '2' in quotes; remove them"),
        ("numprocesses: 2.5", "numprocesses: '2.5' is wrong; expected a whole number"),
        ("numprocesses: ", "numprocesses: expected a whole number, found nothing"),
        ("numprocesses: [2]", "numprocesses: expected a whole number, found a list"),
        ("autostart: 1", "autostart: '1' is wrong; expected true or false"),
        ("working_dir: yes", "working_dir: expected text, found the boolean yes; quote it"),
        ("env: [A=1]", "expected a mapping in env, found a list"),
        ("env: {A: }", "A in env: expected text, found nothing"),
        ("env: {A: {}}", "A in env: expected text, found a mapping"),
        ("groups: video", "groups: 'video' is wrong; expected a list"),
        ("stop_signal: NONE", "stop_signal: 'NONE' is wrong; expected a signal such as TERM, SIGRTMIN+2 or a number"),
        ("rlimits: {nofile: [1, 2, 3]}", "nofile in rlimits: expected one value or [soft, hard], found 3 values"),
        ("limits: 5", "expected a mapping in limits, found the text '5'"),
        ("limits: {io_max: {a: {}}}", "a in limits.io_max: no device; expected MAJOR:MINOR or a path such as /dev/sda"),
        ("stdout: !file x", "stdout: expected text, found the tag '!file'"),
        ("nice: 1, nice: 2", "duplicate key 'nice'; line 1 has it already"),
        ("[a]: 1", "expected text as a key, found a list"),
    ],
)  # fmt: skip
def test_a_wrong_type_or_unit_is_told_with_what_was_expected(options: str, told: str) -> None:
    assert problem(options).replace(" in watcher 'web'", "").replace(" of watcher 'web'", "") == told


@pytest.mark.parametrize(("cmd", "found"), [("yes", "the boolean yes"), ("~", "~"), ("null", "null")])
def test_a_word_that_yaml_may_mean_otherwise_is_no_command(cmd: str, found: str) -> None:
    assert problems(f"watchers: {{web: {{cmd: {cmd}}}}}") == [
        f"shop.yaml:1: cmd in watcher 'web': expected a command: a list or text, found {found}; quote it"
    ]
    assert read(f"watchers: {{web: {{cmd: '{cmd}'}}}}").watchers[0].cmd == (cmd,)


def test_an_unclosed_quote_in_a_command_is_told() -> None:
    (told,) = problems('watchers: {web: {cmd: "echo \'a"}}')
    assert told == (
        "shop.yaml:1: cmd in watcher 'web': \"echo 'a\" can't be split into words (No closing quotation);"
        " close the quotes, or write a list"
    )


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "shop.yaml:1: the file is empty; expected a mapping with `watchers`"),
        ("# nothing\n", "shop.yaml:1: the file is empty; expected a mapping with `watchers`"),
        ("watchers", "shop.yaml:1: expected a mapping at the top level, found the text 'watchers'"),
        ("- web", "shop.yaml:1: expected a mapping at the top level, found a list"),
        ("!shop {name: x}", "shop.yaml:1: expected a mapping at the top level, found the tag '!shop'"),
        ("name: x\nfoo: \0", "shop.yaml:2: the character U+0000 is not allowed; remove it"),
        ("watchers:\n\tweb: x", "shop.yaml:2: no YAML: while scanning for the next token, found character that cannot"
         " start any token; indent with blanks, not with tabs"),
        ("name: x\nname: y: z", "shop.yaml:2: no YAML: mapping values are not allowed in this context; correct it"),
        ("name: x\n---\nname: y", "shop.yaml:2: no YAML: expected a single document in the stream, but found another"
         " document; correct it"),
        ("name: *x", "shop.yaml:1: no YAML: found undefined alias; correct it"),
    ],
)  # fmt: skip
def test_a_text_that_is_no_configuration_is_told_with_its_line(text: str, told: str) -> None:
    assert problems(text) == [told]


def test_terminal_codes_in_a_file_do_not_reach_the_terminal() -> None:
    (told,) = problems('"\\e[31m\\n": 1')
    assert told == "shop.yaml:1: unknown key '\\x1b[31m\\n' at the top level"


ALIASES = "x: &x {A: b}\n" + "".join(
    f"x{i}: &x{i or ''} {{<<: [{', '.join(['*x' + (str(i - 1) if i > 1 else '')] * 9)}]}}\n" for i in range(1, 15)
)


@pytest.mark.parametrize(
    "bomb",
    [
        "[" * 100_000,
        "[" * 900 + "]" * 900,
        "- " * 100_000,
        "{a: " * 100_000,
        "[" + "[]," * 1_000_000 + "]",
        "watchers: &a {<<: *a}",
        "watchers: &a {<<: [*a, *a, *a]}",
        "&a {watchers: {b: *a}}",
        ALIASES + "watchers: {web: {<<: *x14}}",
        "x-e: &e {" + ", ".join(f"K{i}: v" for i in range(1000)) + "}\n"
        "watchers: {" + ", ".join(f"w{i}: {{cmd: x, env: *e}}" for i in range(1000)) + "}",
        "env: {" + ", ".join(f"K{i}: v" for i in range(9000)) + "}\n"
        "watchers: {" + ", ".join(f"w{i}: {{cmd: x}}" for i in range(9000)) + "}",
    ],
    ids=lambda bomb: bomb[:12],
)
def test_a_bomb_is_refused_at_once(bomb: str) -> None:
    begun = time.process_time()
    assert problems(bomb)
    assert time.process_time() - begun < 5
