"""The schema for editors: it takes what the readers take, and refuses what they refuse for type, unit, range or key."""

from __future__ import annotations

import json
import re

import pytest
import yaml
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from msgspec import inspect

from circus_cg.cli.main import main
from circus_cg.config import defaults, json_schema, native, schema
from circus_cg.config.document import Found
from circus_cg.errors import ConfigError
from circus_cg.spec import Limits, WatcherSpec
from examples.demo.run import CONFIG
from tests.unit.config import yaml_core
from tests.unit.config.test_native_fuzz import VALUES
from tests.unit.config.whole import WHOLE
from tests.unit.test_docs import PAGES

VALIDATOR = Draft202012Validator(json_schema.document())


def refused(text: str) -> list[str]:
    return [error.message for error in VALIDATOR.iter_errors(yaml_core.load(text))]


def is_right(text: str) -> bool:
    try:
        native.read(text, "shop.yaml", {"HOME": "/srv", "PORT": "80"}, lambda pattern: Found())
    except ConfigError:
        return False
    return True


def configurations() -> list[str]:
    """Every whole one in the documentation, that of the demonstration, and that of the test of every option."""
    fenced = re.compile(r"^( *)```yaml\n(.*?)^ *```", re.MULTILINE | re.DOTALL)
    found = [(page, block) for page in PAGES for block in fenced.findall(page.read_text())]
    texts = ["".join(row.removeprefix(indent) for row in text.splitlines(True)) for _page, (indent, text) in found]
    whole = [text for text in texts if "watchers:" in text]
    assert len(whole) >= 4
    return [WHOLE, CONFIG.format(name="x", python="python3", port=80, home="/"), *whole]


def test_it_is_a_schema() -> None:
    Draft202012Validator.check_schema(json_schema.document())


def test_the_command_prints_it() -> None:
    done = CliRunner().invoke(main, ["schema"])
    assert (done.exit_code, json.loads(done.stdout)) == (0, json_schema.document())


@pytest.mark.parametrize("text", configurations())
def test_every_configuration_shown_anywhere_is_right_and_fits(text: str) -> None:
    assert is_right(text)
    assert refused(text) == []


@pytest.mark.parametrize(
    "options",
    [
        *("cmd: [x, 1, true]", "autostart: no", "autostart: off", "env: {A: 1, B: yes, C: 1.5}"),
        *("working_dir: /srv", "uid: www", "uid: 5", "groups: [1, video]", "umask: 022", "umask: '077'", "umask: 0o22"),
        *("nice: -20", "rlimits: {nofile: 8, core: [0, infinity], as: {soft: 1G}, cpu: -1}", "stdout: null"),
        *("stdout: inherit", "stop_signal: sigint", "stop_signal: RTMIN+3", "stop_signal: 15", "stop_signal: SIGRTMAX"),
        *("graceful_timeout: 1m30s", "graceful_timeout: .5", "graceful_timeout: 0.5 h", "max_retry: -1"),
        *("limits: {cpu_max: 150%}", "limits: {cpu_max: max}", "limits: {memory_max: 1.5GiB}", "limits: {pids_max: 5}"),
        *("limits: {memory_max: 64m}", "limits: {io_max: {'8:0': {rbps: 1M, riops: max}}}", "limits: "),
        *("backoff: {max: 9}", "env: "),
        *(f"min_uptime: 1{unit}" for unit in ("ms", "s", "m", "h", "d", " h")),
        *(f"limits: {{memory_max: 9000{unit}}}" for unit in ("", "B", "K", "kb", "KiB", "M", "G", "T", " Mi", "Tb")),
    ],
)  # fmt: skip
def test_what_is_right_fits(options: str) -> None:
    text = f"watchers: {{web: {{cmd: x, {options}}}}}".replace("cmd: x, cmd:", "cmd:")
    assert is_right(text)
    assert refused(text) == []


@pytest.mark.parametrize(
    "text",
    [
        *("nme: shop", "watchers: [web]", "watchers: {web: }", "watchers: {web: {}}", "on_missing: maybe"),
        *("include: x.yaml", "include: {a: b}", "env: [A=1]", "env: {A: [1]}", "name: [x]", "5", "[]", "watchers: 5"),
        *("env: {A=B: 1}\nwatchers: {web: {cmd: x}}", "watchers: {web: {cmd: x, env: {A=B: 1}}}"),
        *("watchers: {web: {cmd: []}}", "watchers: {web: {cmd: {}}}", "watchers: {web: {cmd: true}}"),
        *("watchers: {web: {cmd: }}", "watchers: {web: {cmd: [[x]]}}", "watchers: {web: {cmd: x, x-own: 1}}"),
        "history: {size: max}\nwatchers: {web: {cmd: x}}",
    ],
)  # fmt: skip
def test_a_wrong_file_is_refused(text: str) -> None:
    assert not is_right(text)
    assert refused(text)


@pytest.mark.parametrize(
    "options",
    [
        *("numproceses: 2", "numprocesses: two", "numprocesses: 1.5", "numprocesses: -1", "numprocesses: 100001"),
        *('numprocesses: "2"', "numprocesses: ", "autostart: 1", "autostart: maybe", "env: {A: {}}"),
        *("uid: -1", "uid: [1]", "groups: video", "groups: [[]]", "umask: 999", "umask: 888888", "umask: rw"),
        *("rlimits: {nofiles: 5}", "rlimits: {nofile: [1, 2, 3]}", "rlimits: {nofile: many}", "rlimits: {nofile: 1X}"),
        *("rlimits: {nofile: {sft: 1}}", "oom_score_adj: 1001", "stdout: {}", "stop_signal: NONE", "nice: 20"),
        *("stop_signal: 65", "stop_signal: 0", "graceful_timeout: 5x", "graceful_timeout: -1", "max_retry: -2"),
        *("working_dir: [a]", "backoff: 5", "backoff: {initial: soon}", "backoff: {jitter: 2}", "backoff: {mx: 1}"),
        *("backoff: {jitter: 1s}", "flapping: {attempts: -1}", "flapping: {window: 5 parsecs}", "limits: [1]"),
        *("limits: {memory_max: 512X}", "limits: {memory_high: 1}", "watcher_limits: {memory_maxx: 1M}"),
        *("limits: {memory_max: 1}", "limits: {memory_maximum: 5M}", "limits: {cpu_max: fast}", "limits: {cpu_max: 0}"),
        *("limits: {cpu_weight: 0}", "limits: {cpu_weight: heavy}", "limits: {pids_max: 1.5}", "limits: {pids_max: x}"),
        *("limits: {io_max: 5}", "limits: {io_max: {'8:0': {bps: 1}}}", "limits: {io_max: {'8:0': {riops: 1M}}}"),
        *("sched_policy: deadline", "sched_priority: 100", "sched_priority: high", "ionice_class: best"),
        *("ionice_level: 8", "no_new_privs: 1", "singleton: 2", "ambient_capabilities: {}", "cpu_affinity: [0]"),
        *("env_file: {}", "limits: {memory_oom_group: 1}", "watcher_limits: {io_weight: 10001}"),
    ],
)  # fmt: skip
def test_a_wrong_option_is_refused(options: str) -> None:
    text = f"watchers: {{web: {{cmd: x, {options}}}}}"
    assert not is_right(text)
    assert refused(text)


def test_templates_and_own_keys_fit() -> None:
    text = "x-own: &own {nice: 1, limits: {memory_max: 5M}}\nwatchers: {a: {<<: *own, cmd: x}}"
    assert is_right(text)
    assert refused(text) == []


def test_every_option_says_what_it_means_and_its_default_reads_as_itself() -> None:
    for struct, options in schema.OPTIONS.items():
        for key, field in schema.fields(struct).items():
            option, default = options[key], defaults.default_of(struct, key)
            assert option.description
            if isinstance(default, bool | int | float | str):
                written = str(defaults.spelled(default, option.unit))
                assert schema.from_text(field.type, option.unit, written) == default


def test_a_word_for_no_limit_is_known_where_an_option_may_have_none_and_nowhere_else() -> None:
    """`history: {size: max}` passed every check, and then the arbiter couldn't read its None."""
    for struct, options in schema.OPTIONS.items():
        for key, field in schema.fields(struct).items():
            may_be_none = isinstance(field.type, inspect.UnionType) and field.type.includes_none
            unit = options[key].unit
            assert unit is None or unit.none is None or may_be_none, f"{key} of {struct.__name__}"


TEXTS = st.from_regex(r"[0-9.]{0,4} ?[a-zA-Z%+-]{0,4}[0-9]{0,2}", fullmatch=True)


@given(
    st.sampled_from(list(json_schema.PATTERNS)), st.one_of(TEXTS, st.sampled_from(["max", "SIGTERM", "1h 5m", "0o22"]))
)
def test_a_text_that_a_unit_reads_fits_its_pattern(unit: schema.Unit, text: str) -> None:
    try:
        schema.from_text(schema.fields(WatcherSpec)["umask"].type, unit, text)
    except ValueError:
        return
    assert re.search(f"^(?:{json_schema.PATTERNS[unit]})$", text)


@given(st.sampled_from([*schema.fields(WatcherSpec)]), VALUES, st.sampled_from([*schema.fields(Limits)]), VALUES)
def test_what_the_readers_take_fits(option: str, value: object, limit: str, size: object) -> None:
    text = yaml.safe_dump({"watchers": {"web": {"cmd": "serve", "limits": {limit: size}, option: value}}})
    if is_right(text):
        assert refused(text) == []
