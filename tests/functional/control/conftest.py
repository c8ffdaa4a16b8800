"""The fixture of a daemon with a network endpoint."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.functional.control.afar import Afar

StartAfar = Callable[..., Afar]


@pytest.fixture
def afar(tmp_path: Path, scratch_name: str) -> Iterator[StartAfar]:
    """`afar(address, **control options)` starts one that is stopped and checked when the test is over."""
    with ExitStack() as running:
        yield lambda *args, **control: running.enter_context(Afar(tmp_path, scratch_name, *args, **control))
