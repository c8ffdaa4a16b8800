"""howto/from-circus.md: what becomes of each key of circus."""

from __future__ import annotations

from collections.abc import Mapping

from circus_cg.config import ini_keys
from circus_cg.config.ini_keys import Fate
from docs.generate.blocks import escaped, table

_RLIMIT = Fate(None, "soft and hard, or `soft:hard`; nothing: no limit, for nofile the daemon's own hard limit")


def blocks() -> dict[str, str]:
    plugins = {name: Fate(ini_keys.HOOKS.kind, why) for name, why in ini_keys.PLUGINS.items()}
    plugins[ini_keys.FLAPPING_PLUGIN] = Fate(None, "its keys are the rule for all watchers")
    plugins[ini_keys.WATCHDOG_PLUGIN] = Fate(
        None, "heartbeats over UDP; circus's own ends with the first worker it ends"
    )
    plugins["any other"] = Fate(ini_keys.HOOKS.kind, ini_keys.OTHER_PLUGIN)
    groups: dict[str, Mapping[str, Fate]] = {
        "`[circus]`": ini_keys.CIRCUS,
        "`[watcher:NAME]`": {**ini_keys.WATCHER, "rlimit_NAME": _RLIMIT, "hooks.NAME": ini_keys.HOOKS},
        "`stdout_stream.` and `stderr_stream.`": ini_keys.STREAM,
        "`flapping.`": ini_keys.FLAPPING,
        "`[plugin:NAME]`, by `use`": plugins,
        "`[socket:NAME]`": {"all of it": ini_keys.SOCKET},
    }
    return {"circus-keys": "\n\n".join(f"### {heading}\n\n{_fates(fates)}" for heading, fates in groups.items())}


def _fates(fates: Mapping[str, Fate]) -> str:
    """What acts comes first, what never will last."""
    ordered = sorted(fates.items(), key=lambda one: (one[1].kind is not None, one[1].kind == "never"))
    rows = [(f"`{key}`", str(fate.kind or "acts"), escaped(fate.why)) for key, fate in ordered]
    return table(("key", "does it act?", "how, or why not"), rows)
