"""Whatever frames come, from keys or strangers: no crash, nothing done beyond a role, nothing left open."""

from __future__ import annotations

import pytest

from tests.conftest import SLOWNESS
from tests.fuzz.run import fuzz

FRAMES = 3000 if SLOWNESS <= 1 else 500


@pytest.mark.timeout(120)
def test_no_frame_does_what_its_key_may_not() -> None:
    result = fuzz(FRAMES, seed=1)
    found = {what: result[what] for what in ("crashes", "beyond_role", "touched", "leaked_fds", "strangers_answered")}
    assert found == dict.fromkeys(found, 0), result
    assert result["done"] > FRAMES // 50, "hardly a frame was right"
