"""What an option is worth when nobody writes it, spelled as an operator would write it."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import NODEFAULT

from circus_cg.config.schema import BYTES, RLIMIT, SECONDS, SIGNAL, SIZE, STOP_STEP, UMASK, Unit, fields
from circus_cg.units import format_bytes, format_seconds, format_signal


def default_of(struct: type[msgspec.Struct], key: str) -> Any:
    """The default as the specs hold it, or NODEFAULT for an option that is required."""
    field = fields(struct)[key]
    return field.default_factory() if field.default_factory is not NODEFAULT else field.default


def spelled(value: Any, unit: Unit | None) -> Any:
    """A number, text or truth value that the readers would take for `value`, which is not None."""
    if unit == SECONDS:
        return format_seconds(value)
    if unit == SIGNAL:
        return format_signal(value)
    if unit == STOP_STEP:
        return f"{format_signal(value.signal)} {f'{value.wait:.9f}'.rstrip('0').removesuffix('.')}s"
    if unit == UMASK:
        return f"{value:03o}"
    if unit in (BYTES, SIZE, RLIMIT):
        return format_bytes(value)
    return value
