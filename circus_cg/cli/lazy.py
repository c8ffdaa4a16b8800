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
