"""No text, however wrong or mutated, breaks the reader of YAML: a spec or a ConfigError, each line with its place."""

from __future__ import annotations

import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from circus_cg.config import schema
from circus_cg.errors import ConfigError
from circus_cg.spec import ArbiterSpec, Limits, WatcherSpec
from tests.unit.config.test_native import read
from tests.unit.config.whole import WHOLE

TOKENS = st.sampled_from(
    [
        "{", "}", "[", "]", ":", ": ", "- ", ",", "&a", "*a", "<<", "!!int ", "!x ", "|", ">", "'", '"', "#", "\n",
        "\n  ", "\t", "\0", "null", "yes", "-1", "1e9", "9" * 30, "512M", ".nan", "~", "\\", "é", "\u2028", "x-", "%",
        "@", "---\n", "$(circus.env.X)", "((circus.env.HOME))", "include: ",
        *schema.fields(WatcherSpec), *schema.fields(Limits),
    ]
)  # fmt: skip


def gives_a_spec_or_a_config_error(text: str) -> None:
    try:
        assert isinstance(read(text), ArbiterSpec)
    except ConfigError as wrong:
        assert wrong.problems
        assert all(line.startswith("shop.yaml:") and "\n" not in line for line in wrong.problems)


@given(st.one_of(st.text(), st.lists(TOKENS).map("".join)))
@example("\ufeffname: x")
@example('name: "\\ud800"')
@example("a: \ud800")
@example("? ? ?")
def test_no_text_breaks_the_reader(text: str) -> None:
    gives_a_spec_or_a_config_error(text)


@given(st.data())
def test_no_mutation_of_a_right_file_breaks_the_reader(data: st.DataObject) -> None:
    text = WHOLE
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(text)))
        end = min(len(text), start + data.draw(st.integers(0, 30)))
        text = text[:start] + data.draw(st.one_of(TOKENS, st.text(max_size=5))) + text[end:]
    gives_a_spec_or_a_config_error(text)


SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.sampled_from(["max", "5M", "1s"])
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(), inner, max_size=3)),
    max_leaves=5,
)


@given(st.sampled_from([*schema.fields(WatcherSpec)]), VALUES, st.sampled_from([*schema.fields(Limits)]), VALUES)
def test_no_value_of_an_option_breaks_the_reader(option: str, value: object, limit: str, size: object) -> None:
    options = {"cmd": "serve", "limits": {limit: size}, option: value}
    gives_a_spec_or_a_config_error(yaml.safe_dump({"watchers": {"web": options}}, allow_unicode=True))
