"""What a run in a guest came to: its exit status, and one line in pytest's words."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

PASSED, TIMED_OUT, NEVER_RAN = 0, 124, 125
FILE = "status"  # beside the guest: written by what lived in the namespaces, so that no other's exit status counts


def worst(statuses: list[int]) -> int:
    """Of several runs: a failed test weighs more than one that took too long, and this more than a guest's failure."""
    return max(statuses, key=lambda status: ({PASSED: 0, NEVER_RAN: 1, TIMED_OUT: 2}.get(status, 3), status))


def written(state: Path) -> int | None:
    """None: what lived in the namespaces ended without a word."""
    try:
        return int((state / FILE).read_text())
    except (FileNotFoundError, ValueError):
        return None


def summary(layout: str, results: Path, status: int) -> str:
    """All visits of a guest together, from their junit reports."""
    suites = [suite for report in sorted(results.glob("*.xml")) for suite in _suites(report)]

    def total(key: str) -> int:
        return sum(int(suite.get(key, 0)) for suite in suites)

    counts = {"failed": total("failures"), "passed": 0, "skipped": total("skipped"), "errors": total("errors")}
    counts["passed"] = total("tests") - sum(counts.values())
    told = ", ".join(f"{number} {word}" for word, number in counts.items() if number) or "no test ran"
    took = sum(float(suite.get("time", 0)) for suite in suites)
    return f"{layout}: {told} in {took:.0f} s{_otherwise(status, counts['failed'] + counts['errors'])}"


def _suites(report: Path) -> list[ElementTree.Element]:
    try:
        return ElementTree.parse(report).findall("testsuite")
    except ElementTree.ParseError:  # pytest was killed as it wrote
        return []


def _otherwise(status: int, failed: int) -> str:
    """What the counts don't say."""
    match status:
        case 0:
            return ""
        case 124:
            return "; then the time was over"
        case 125:
            return "; the guest failed, no test"
        case 1 if failed:
            return ""
        case _:
            return f"; pytest's exit status: {status}"
