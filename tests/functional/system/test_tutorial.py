"""The tutorial that is done in a guest, done: its commands are taken from the page, and so is what they must print."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from textwrap import dedent

import pytest

from tests.conftest import SLOWNESS
from tests.functional.system.service import ENVIRONMENT, in_guest_of_our_own

pytestmark = [*in_guest_of_our_own, pytest.mark.alone("systemd counts a restart twice at another's daemon-reload")]
PAGE = Path(__file__).parents[3] / "docs/tutorial-service.md"
BLOCK = re.compile(r"^( *)```(sh|text)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
END = "--- end of block "


def steps() -> list[tuple[str, list[str]]]:
    """(commands, lines that they print), in order."""
    found: list[tuple[str, list[str]]] = []
    for _, kind, body in BLOCK.findall(PAGE.read_text()):
        if kind == "sh":
            found.append((dedent(body), []))
        else:
            found[-1][1].extend(dedent(body).splitlines())
    return found


@pytest.mark.timeout(180)
def test_every_step_of_the_tutorial_prints_what_the_page_says() -> None:
    commands, expected = zip(*steps(), strict=True)
    script = "set -eu\n" + "".join(f"{text}echo '{END}{number}'\n" for number, text in enumerate(commands))
    script = re.sub(
        r"^sleep (\d+)$", lambda wait: f"sleep {int(wait[1]) * max(1, SLOWNESS / 2):g}", script, flags=re.MULTILINE
    )
    shell = ["/bin/bash", "-c", script]
    done = subprocess.run(shell, capture_output=True, text=True, check=False, env=ENVIRONMENT, timeout=170 * SLOWNESS)
    printed = re.split(rf"^{END}\d+\n", done.stdout, flags=re.MULTILINE)
    for number, lines in enumerate(expected):
        assert number < len(printed), f"step {number} never came: {done.stderr}"
        for line in lines:
            pattern = ".*".join(re.escape(part.strip()) for part in line.split("…"))
            assert re.search(rf"^ *{pattern}$", printed[number], re.MULTILINE), (
                f"step {number} does not print {line!r} but:\n{printed[number]}\n{done.stderr}"
            )
    assert done.returncode == 0, done.stderr
