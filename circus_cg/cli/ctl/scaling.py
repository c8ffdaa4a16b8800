"""What an autoscaler thinks, as lines below a table."""

from __future__ import annotations

from circus_cg.cli.ctl.watching import Document


def scaling_lines(found: Document) -> list[str]:
    """One a watcher that has one: who counts its workers, and why so many."""
    return [_line(name, shown) for name, shown in found.get("autoscale", {}).items()]


def _line(name: str, shown: Document) -> str:
    who = f"pinned for {shown['pinned']:.0f} s more" if shown["pinned"] is not None else "autoscaled"
    how = " (dry run)" if shown["dry_run"] else ""
    why = f": {shown['reason']}" if shown["reason"] else ""
    return f"{name}: {shown['numprocesses']} workers of {shown['min']} to {shown['max']}, {who}{how}{why}"
