"""Writes the tables of docs/howto/from-circus.md from the table of circus's keys: python -m docs.from_circus"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from circus_cg.config import ini_keys
from circus_cg.config.ini_keys import Fate

PAGE = Path(__file__).parent / "howto/from-circus.md"
BEGIN, END = "<!-- begin: python -m docs.from_circus -->", "<!-- end -->"


def tables() -> str:
    plugins = {name: Fate(ini_keys.HOOKS.kind, why) for name, why in ini_keys.PLUGINS.items()}
    plugins[ini_keys.FLAPPING_PLUGIN] = Fate(None, "its keys are the rule for all watchers")
    plugins["any other"] = Fate(ini_keys.HOOKS.kind, ini_keys.OTHER_PLUGIN)
    groups: dict[str, Mapping[str, Fate]] = {
        "`[circus]`": ini_keys.CIRCUS,
        "`[watcher:NAME]`": {**ini_keys.WATCHER, "rlimit_NAME": _RLIMIT, "hooks.NAME": ini_keys.HOOKS},
        "`stdout_stream.` and `stderr_stream.`": ini_keys.STREAM,
        "`flapping.`": ini_keys.FLAPPING,
        "`[plugin:NAME]`, by `use`": plugins,
        "`[socket:NAME]`": {"all of it": ini_keys.SOCKET},
    }
    return "\n".join(line for heading, fates in groups.items() for line in _table(heading, fates))


_RLIMIT = Fate(None, "soft and hard, or `soft:hard`; nothing: no limit, for nofile the daemon's own hard limit")


def _table(heading: str, fates: Mapping[str, Fate]) -> Iterator[str]:
    yield from ("", f"### {heading}", "", "| key | | what it does, or why not |", "|---|---|---|")
    for key, fate in sorted(fates.items(), key=lambda one: (one[1].kind is not None, one[1].kind == "never")):
        yield f"| `{key}` | {fate.kind or 'acts'} | {fate.why} |"


def page(written: str) -> str:
    before, _, rest = written.partition(BEGIN)
    after = rest.partition(END)[2]
    return f"{before}{BEGIN}\n{tables()}\n\n{END}{after}"


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text()))
