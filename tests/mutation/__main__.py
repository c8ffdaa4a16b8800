"""Which changes to the decision core no test notices: python -m tests.mutation [--jobs N] [MODULE...]."""

import argparse
import os
import sys
import time
from collections import Counter

from tests.mutation.judge import Verdict, judge, percent, survivors
from tests.mutation.listed import Listed
from tests.mutation.mutants import Mutant, modules, mutants_of

WANTED = 95.0  # percent, of the whole core


def main() -> int:
    parser = argparse.ArgumentParser(prog="./dev mutate", description=__doc__)
    parser.add_argument("modules", nargs="*", metavar="MODULE", help="of circus_cg/core (default: all)")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument(
        "--unlisted", action="store_true", help="print the survivors that no list excuses as its entries"
    )
    asked = parser.parse_args()
    if unknown := set(asked.modules) - set(modules()):
        parser.error(f"no such module of circus_cg/core: {', '.join(sorted(unknown))}")
    wanted = asked.modules or modules()
    listed = Listed.read()
    began = time.monotonic()
    verdicts = judge([mutant for module in wanted for mutant in mutants_of(module)], asked.jobs)
    _print_table(wanted, verdicts)
    told = listed.compare(wanted, {mutant.change() for mutant in survivors(verdicts)})
    print(*told.lines(asked.unlisted), sep="\n")
    killed = percent(verdicts.values())
    print(f"{killed:.2f} % of {len(verdicts)} mutants killed in {time.monotonic() - began:.0f} s")
    if killed < WANTED:
        print(f"too few: {WANTED:g} % are wanted")
    return 0 if killed >= WANTED and told.is_clean else 1


def _print_table(wanted: list[str], verdicts: dict[Mutant, Verdict]) -> None:
    print(f"\n{'module':<16}{'mutants':>8}{'killed':>8}{'timeout':>8}{'survived':>9}{'untested':>9}{'percent':>9}")
    for module in wanted:
        found = [verdict for mutant, verdict in verdicts.items() if mutant.module == module]
        count = Counter(found)
        row = [count[one] for one in (Verdict.KILLED, Verdict.TIMEOUT)]
        rest = [count[one] for one in (Verdict.SURVIVED, Verdict.UNTESTED)]
        mutants = len(found) - count[Verdict.INVALID]
        print(f"{module:<16}{mutants:>8}{row[0]:>8}{row[1]:>8}{rest[0]:>9}{rest[1]:>9}{percent(found):>9.2f}")


if __name__ == "__main__":
    sys.exit(main())
