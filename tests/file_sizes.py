"""Lint: a file of code beyond the ceiling has more than one subject. Tests and benches count too."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

CEILING = 400  # lines


def main() -> int:
    command = ["git", "ls-files", "-co", "--exclude-standard", "*.py", "*.[ch]", "*.sh", "dev"]
    listed = subprocess.run(command, check=True, capture_output=True, text=True)
    files = map(Path, listed.stdout.splitlines())
    sizes = {file: len(file.read_text().splitlines()) for file in files if file.exists()}
    too_long = {file: lines for file, lines in sizes.items() if lines > CEILING}
    for file, lines in too_long.items():
        print(f"{file}: {lines} lines, the ceiling is {CEILING}")
    return 1 if too_long else 0


if __name__ == "__main__":
    sys.exit(main())
