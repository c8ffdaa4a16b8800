"""The fixture of a daemon with a network endpoint."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.conftest import SLOWNESS
from tests.functional.control.afar import Afar

IN_GUESTS = "test_closed.py"  # the rest is the same whatever the host's groups are, and takes a guest half an hour


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.parent == Path(__file__).parent and item.path.name != IN_GUESTS and SLOWNESS > 1:
            item.add_marker(pytest.mark.host_may_lack("half an hour"))
            item.add_marker(pytest.mark.skip(reason="a slow guest shows nothing of the network that this host doesn't"))


StartAfar = Callable[..., Afar]


@pytest.fixture
def afar(tmp_path: Path, scratch_name: str) -> Iterator[StartAfar]:
    """`afar(address, **control options)` starts one that is stopped and checked when the test is over."""
    with ExitStack() as running:
        yield lambda *args, **control: running.enter_context(Afar(tmp_path, scratch_name, *args, **control))
