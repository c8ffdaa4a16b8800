"""Names of arbiters that no other process on this host uses: they name groups."""

from __future__ import annotations

import os
import secrets

LONGEST = 40  # characters of the caller's own part


def unique_name(prefix: str) -> str:
    return f"{prefix[:LONGEST]}-{os.getpid()}-{secrets.token_hex(4)}"
