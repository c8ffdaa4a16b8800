"""A click group whose verbs are imported when they are called: `ctl` need not pay for what `run` imports (measured)."""

from __future__ import annotations

import importlib
from typing import Any

import click


class LazyGroup(click.Group):
    def __init__(self, *args: Any, rooms: dict[str, str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._rooms = rooms

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self._rooms)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self._rooms:
            return None
        module, _, attribute = self._rooms[cmd_name].partition(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        verb = args[0]
        if verb not in self._rooms and not verb.startswith("-") and not ctx.resilient_parsing:
            close = importlib.import_module("difflib").get_close_matches(verb, self._rooms, n=1)  # rarely needed
            hint = f"did you mean {close[0]!r}?" if close else f"there are {', '.join(self._rooms)}"
            ctx.fail(f"no verb {verb!r}; {hint}")
        return super().resolve_command(ctx, args)
