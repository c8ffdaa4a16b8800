"""`service(watchers, ...)`: a unit that is stopped, checked and removed when the test is over."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from tests.functional.system.service import Service

StartService = Callable[..., Service]


@pytest.fixture
def service(scratch_name: str) -> Iterator[StartService]:
    with ExitStack() as running:
        yield lambda watchers, **more: running.enter_context(Service(scratch_name, watchers, **more))
