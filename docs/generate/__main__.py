from __future__ import annotations

import sys

from docs.generate.pages import PAGES, REFERENCE, generated


def main() -> int:
    stale = [name for name in PAGES if generated(name) != (REFERENCE / name).read_text()]
    for name in stale:
        if "--check" in sys.argv[1:]:
            print(f"docs/reference/{name}: not what the code says; run ./dev docs and commit it", file=sys.stderr)
        else:
            (REFERENCE / name).write_text(generated(name))
            print(f"docs/reference/{name}: written")
    return 1 if stale and "--check" in sys.argv[1:] else 0


if __name__ == "__main__":
    sys.exit(main())
