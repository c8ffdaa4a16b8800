"""What all tests share: waiting with a deadline, strict mode, time-outs that know a slow host, scratch names.

Environment: CIRCUS_CG_STRICT=1 turns skips into failures; CIRCUS_CG_TEST_SLOWNESS multiplies every deadline.
"""

from __future__ import annotations

import os
import re
import secrets
import signal
import time
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import settings

from tests.scratch_groups import left_of, sweep

T = TypeVar("T")
Report = TypeVar("Report", pytest.TestReport, pytest.CollectReport)

STRICT = os.environ.get("CIRCUS_CG_STRICT") == "1"
TMP_NAME = 12  # characters of a test's name in its directory's
SLOWNESS = float(os.environ.get("CIRCUS_CG_TEST_SLOWNESS", "1"))

# A slow machine is no falsifying example; what CI runs twice must be the same twice.
settings.register_profile("circus-cg", deadline=None, derandomize=STRICT, print_blob=True)
settings.load_profile("circus-cg")


def until(condition: Callable[[], T], seconds: float = 10, why: str = "") -> T:
    """The first true value of `condition`, asked every few milliseconds; fails after `seconds` (times the slowness)."""
    deadline = time.monotonic() + seconds * SLOWNESS
    pause = 0.002
    while not (found := condition()):
        if time.monotonic() > deadline:
            what = why or getattr(condition, "__name__", "a condition")
            pytest.fail(f"waited {seconds * SLOWNESS:g} s in vain for: {what} (last seen: {found!r})")
        time.sleep(pause)
        pause = min(pause * 1.5, 0.05)
    return found


@pytest.fixture
def tmp_path(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """pytest's own has 30 characters of the test's name; below it a socket's path came to the kernel's 107 and over."""
    return tmp_path_factory.mktemp(re.sub(r"\W", "_", request.node.name).removeprefix("test_")[:TMP_NAME])


@pytest.fixture
def scratch_name() -> Iterator[str]:
    """An arbiter name nobody else uses; the test fails if a group of that name outlives it."""
    name = f"t-{secrets.token_hex(4)}"
    yield name
    left = left_of(name)
    sweep(name)
    assert not left, f"the test left cgroups behind: {left}"


def pytest_configure() -> None:
    """A shell's background job ignores SIGINT, and so would all that the tests start and interrupt."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Every time-out of pytest-timeout, the default and a test's own, is multiplied by the slowness."""
    if SLOWNESS == 1:
        return
    default = float(config.getini("timeout"))
    for item in items:
        own = item.get_closest_marker("timeout")
        seconds = float(own.args[0]) if own and own.args else default
        item.add_marker(pytest.mark.timeout(seconds * SLOWNESS), append=False)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, Any, pytest.TestReport]:
    report: pytest.TestReport = yield
    excused = hasattr(report, "wasxfail") or item.get_closest_marker("host_may_lack")
    return report if excused else _no_silent_skip(report)


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, Any, pytest.CollectReport]:
    report: pytest.CollectReport = yield
    return _no_silent_skip(report)


def _no_silent_skip(report: Report) -> Report:
    """In strict mode what the host should be able to run may not be skipped."""
    if STRICT and report.skipped:
        report.outcome = "failed"
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.longrepr = f"strict mode allows no skip (mark it host_may_lack if a host may lack it): {reason}"
    return report
