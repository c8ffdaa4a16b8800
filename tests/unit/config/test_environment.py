"""The daemon's environment in a configuration: where it is asked for, and nowhere else."""

from __future__ import annotations

import pytest

from circus_cg.config import native
from circus_cg.config.findings import told
from circus_cg.errors import ConfigError
from circus_cg.spec import ArbiterSpec, WatcherSpec

ENVIRONMENT = {"HOME": "/srv", "PORT": "80 80", "TRICK": "$(circus.env.HOME)"}


def read(text: str) -> ArbiterSpec:
    return native.read(text, "shop.yaml", ENVIRONMENT)


def watcher(options: str) -> WatcherSpec:
    return read(f"watchers: {{web: {{cmd: serve, {options}}}}}").watchers[0]


def problems(text: str) -> list[str]:
    with pytest.raises(ConfigError) as raised:
        read(text)
    return raised.value.problems


def test_a_variable_is_replaced_where_a_worker_s_words_and_paths_stand() -> None:
    read_ = watcher(
        "env: {A: $(circus.env.PORT)}, working_dir: ((circus.env.HOME))/web, stdout: $(circus.env.HOME)/out,"
        " stderr: $(circus.env.home)/err"
    )
    assert (read_.env, read_.working_dir) == ({"A": "80 80"}, "/srv/web")
    assert (read_.stdout, read_.stderr) == ("/srv/out", "/srv/err")


@pytest.mark.parametrize("cmd", ["serve --port $(circus.env.PORT)", "[serve, --port, $(circus.env.PORT)]"])
def test_a_value_with_blanks_stays_one_word_of_a_command(cmd: str) -> None:
    assert read(f"watchers: {{web: {{cmd: {cmd}}}}}").watchers[0].cmd == ("serve", "--port", "80 80")


def test_what_a_shell_would_expand_stays_as_written() -> None:
    words = ("sh", "-c", "echo $HOME ${HOME} $(date) $(circus.wid)")
    assert read(f"watchers: {{web: {{cmd: {list(words)}}}}}").watchers[0].cmd == words
    assert watcher("env: {A: '$HOME-${HOME}'}").env == {"A": "$HOME-${HOME}"}


def test_a_value_is_not_expanded_again() -> None:
    assert watcher("env: {A: $(circus.env.TRICK)}").env == {"A": "$(circus.env.HOME)"}


def test_the_case_of_a_name_counts_where_two_differ_in_nothing_else() -> None:
    environment = {"PROXY": "large", "proxy": "small", "Only": "mixed"}
    text = "watchers: {web: {cmd: [$(circus.env.PROXY), $(circus.env.proxy), ((CIRCUS.ENV.ONLY))]}}"
    assert native.read(text, "shop.yaml", environment).watchers[0].cmd == ("large", "small", "mixed")


def test_variables_can_not_blow_a_configuration_up() -> None:
    text = "watchers: {web: {cmd: [" + ", ".join(["$(circus.env.BIG)$(circus.env.BIG)"] * 500) + "]}}"
    with pytest.raises(ConfigError, match="with its variables the configuration is over 16777216 characters"):
        native.read(text, "shop.yaml", {"BIG": "x" * 100_000})
    assert native.read(text, "shop.yaml", {"BIG": "x" * 10_000}).watchers[0].cmd[499] == "x" * 20_000


def test_names_and_sizes_are_not_expanded() -> None:
    assert problems("watchers: {web: {cmd: x, uid: $(circus.env.HOME), limits: {memory_max: $(circus.env.PORT)}}}")


def test_a_variable_that_is_not_set_is_told_with_its_line() -> None:
    told = "the environment has no NOPE; set it where the daemon is started"
    assert problems(
        "env: {A: $(circus.env.NOPE)}\n"
        "watchers:\n"
        "  web:\n"
        "    cmd:\n"
        "      - serve\n"
        "      - $(circus.env.NOPE)\n"
        "    env:\n"
        "      B: ((circus.env.NOPE))\n"
    ) == [
        f"shop.yaml:1: A in env: {told}",
        f"shop.yaml:6: cmd in watcher 'web': {told}",
        f"shop.yaml:8: B in env of watcher 'web': {told}",
    ]


def test_an_expanded_path_is_judged_as_a_written_one() -> None:
    assert problems("watchers: {web: {cmd: x, working_dir: $(circus.env.PORT)}}") == [
        "shop.yaml:1: working_dir in watcher 'web': '80 80' is no absolute path; expected one such as /srv"
    ]


def test_the_common_env_is_every_watcher_s_and_gives_way_to_its_own() -> None:
    spec = read("env: {A: 1, B: $(circus.env.HOME)}\nwatchers: {a: {cmd: x, env: {A: own}}, b: {cmd: x}}")
    assert [one.env for one in spec.watchers] == [{"A": "own", "B": "/srv"}, {"A": "1", "B": "/srv"}]


def test_a_wrong_name_in_the_common_env_is_told_once_where_it_stands() -> None:
    (told,) = problems("watchers: {a: {cmd: x}, b: {cmd: x}}\nenv:\n  A: right\n  B=C: wrong\n")
    assert told.startswith("shop.yaml:4: B=C in env of watcher 'a': no name of a variable")


def test_what_stays_as_written_in_a_path_is_told_with_its_line_and_once_for_a_template() -> None:
    text = """\
x-logs: &logs
  stdout: /log/w-$(circus.wid).log
watchers:
  a: {<<: *logs, cmd: "serve $(circus.wid)", env: {N: ((circus.wid)), HOME: $HOME}}
  b:
    <<: *logs
    cmd: serve
    stderr: $(circus.env.HOME)/((circus.Name))
    env_file: [/a.env, /$(circus.wid).env]
    health: {up: {tcp: "80$(circus.wid)"}}
"""
    spec, notices = native.read_with_notices(text, "shop.yaml", ENVIRONMENT)
    number = "it is the worker's number in cmd, env and health alone"
    assert told(notices) == [
        f"shop.yaml:2: stdout: $(circus.wid) stays as written: {number}",
        "shop.yaml:8: stderr: ((circus.Name)) stays as written: it names nothing",
        f"shop.yaml:9: env_file: $(circus.wid) stays as written: {number}",
    ]
    assert [one.stdout for one in spec.watchers] == ["/log/w-$(circus.wid).log"] * 2
