"""How the answers to one check become a verdict. The shell asks, core.slot acts on what is failing."""

from __future__ import annotations

import msgspec

from circus_cg.spec import HealthCheck


class Tally(msgspec.Struct, frozen=True):
    """The answers to one check in one life: as many of the last as can still matter, True a good one."""

    answers: tuple[bool, ...] = ()
    failing: bool = False


def begun(check: HealthCheck) -> Tally:
    """Whoever is not known to be ready is not; whoever is not known to be dead lives."""
    return Tally(failing=check.kind == "readiness")


def judged(check: HealthCheck, tally: Tally, good: bool) -> Tally:
    """Bad are `failures` bad ones among the last `window`, the newest among them; good `successes` good ones in a row.

    What led to a verdict counts for no other one.
    """
    answers = (*tally.answers, good)
    if tally.failing:
        if answers[-check.successes :] == (True,) * check.successes:
            return Tally()
        return Tally(answers[-check.successes :], failing=True)
    answers = answers[-window(check) :]
    if not good and answers.count(False) >= check.failures:
        return Tally(failing=True)
    return Tally(answers)


def window(check: HealthCheck) -> int:
    """How many answers are looked at."""
    return check.failures if check.window is None else check.window
