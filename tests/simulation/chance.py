"""What can happen next, by chance: the specs, each move, and a whole play from one seed."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from signal import SIGINT, SIGTERM
from typing import get_args

from circus_cg.core.notification import Word
from circus_cg.core.readiness import checks
from circus_cg.core.state import Reason
from circus_cg.spec import Backoff, Flapping, HealthCheck, StopStep, Watchdog, WatcherSpec
from tests.simulation.world import ENDS, World

STOPS = ((), (), (StopStep(SIGTERM, 2.0), StopStep(SIGINT, 0.0), StopStep(SIGTERM, 1.0)))
CHECK = HealthCheck(name="db", kind="readiness", tcp="1")
WORDS = (
    Word(ready=True),
    Word(ready=True),
    Word(alive=True),
    Word(reloading=True, status="reading"),
    Word(stopping=True),
    Word(trigger=True),
    Word(watchdog=0.0),
    Word(watchdog=2.0),
    Word(extend=60.0),
    Word(ready=True, alive=True, main_pid=7),
)


def random_specs(chance: Random) -> tuple[WatcherSpec, ...]:
    return tuple(
        WatcherSpec(
            name=f"w{number}",
            cmd=("true",),
            numprocesses=chance.randint(0, 4),
            autostart=chance.random() < 0.7,
            graceful_timeout=chance.choice((0.0, 1.0, 30.0)),
            stop=chance.choice(STOPS),
            restart=chance.choice(("always", "always", "on-failure", "on-abnormal", "never")),
            restart_prevent_exit_status=chance.choice(((), (), ("SEGV",))),
            max_age=chance.choice((0.0, 0.0, 5.0, 60.0)),
            singleton=chance.random() < 0.1,
            ready=chance.choice(("exec", "exec", "notify", "fd")),
            start_timeout=chance.choice((0.1, 5.0, 90.0)),
            watchdog=Watchdog(timeout=chance.choice((None, None, 0.5, 30.0))),
            health=chance.choice(((), (CHECK,))),
            max_retry=chance.choice((-1, 0, 2)),
            backoff=Backoff(initial=chance.choice((0.0, 0.5)), jitter=chance.choice((0.0, 0.1))),
            flapping=Flapping(
                attempts=chance.choice((0, 1, 3)),
                retry_in=chance.choice((0.0, 7.0)),
                max_retry=chance.choice((-1, 0, 2)),
            ),
        )
        for number in range(chance.randint(1, 4))
    )


def play(seed: int, steps: int, lines: int = 40) -> World:
    """The world after `steps` moves and its end.

    Raises AssertionError, with the last `lines` of the story so far, for a broken promise.
    """
    chance = Random(seed)
    world = World(random_specs(chance), chance.random)
    try:
        for _ in range(steps):
            move(world, chance)
            world.check()
        world.settle(well=chance.random() < 0.7)
    except AssertionError as broken:
        broken.add_note(f"seed {seed}; the last of its story:\n" + "\n".join(world.story.last(lines)))
        raise
    return world


def move(world: World, chance: Random) -> None:
    """One thing that can happen now."""
    host = world.host
    moves: list[tuple[int, Callable[[], None]]] = [(10, lambda: world.advance(chance.choice((0.01, 0.2, 1.0, 40.0))))]
    if launching := host.launching():
        key = chance.choice(launching)
        stubborn = chance.random() < 0.3
        moves += [(20, lambda: host.launched(key, stubborn=stubborn)), (6, lambda: host.launch_fails(key))]
    if living := host.living():
        worker = chance.choice(living)
        end = chance.choice(ENDS)
        word = chance.choice(WORDS)
        moves += [(12, lambda: host.dies(worker, end)), (4, lambda: world.forks(worker))]
        moves.append((12, lambda: world.says(worker, word)))
    if host.groups:
        group = chance.choice(list(host.groups))
        if host.groups[group].others:
            moves.append((3, lambda: world.other_dies(group)))
        wedged = not host.groups[group].wedged
        moves.append((6 if not wedged else 1, lambda: world.wedge(group, wedged)))
    occupied = {key[:2] for key in host.groups}
    if empty := [place for place, entry in host.entries.items() if entry.state == "empty" and place not in occupied]:
        place = chance.choice(empty)
        moves.append((1, lambda: world.keeper_forgets(place)))
    asked = chance.choice(list(world.specs))
    moves.append((1, lambda: world.asks(asked, () if world.specs[asked].health else (CHECK,))))
    if world.arbiter is None:
        moves.append((15, world.arbiter_boots))
    else:
        name = chance.choice(list(world.specs))
        moves += [
            (4, lambda: world.start(name)),
            (4, lambda: world.stop(name)),
            (3, lambda: world.restart(name)),
            (3, lambda: world.freeze(name)),
            (3, lambda: world.thaw(name)),
            (4, lambda: world.resize(name, chance.randint(0, 5))),
            *_endings(world, chance),
            *_hearings(world, chance),
            (3, lambda: world.arbiter_dies(chance.randint(0, 6))),
        ]
        if host.news:
            moves.append((60, world.deliver))
        if host.told:
            again = chance.choice(host.told)
            if again.what != "refused":  # an answer is given once
                moves.append((6, lambda: host.news.append(again)))
    weights = [weight for weight, _ in moves]
    chance.choices([action for _, action in moves], weights)[0]()


def _endings(world: World, chance: Random) -> list[tuple[int, Callable[[], None]]]:
    assert world.arbiter is not None
    if not world.arbiter.slots:
        return []
    place = chance.choice(list(world.arbiter.slots))
    reason: Reason = chance.choice(get_args(Reason))
    return [(3, lambda: world.end(place, reason)), (4, lambda: world.replace(place, reason))]


def _hearings(world: World, chance: Random) -> list[tuple[int, Callable[[], None]]]:
    found: list[tuple[int, Callable[[], None]]] = []
    if waiting := [key for key, words in world.host.said.items() if words]:
        key = chance.choice(waiting)
        found.append((25, lambda: world.hears(key)))
    if world.arbiter is not None and world.arbiter.slots:
        place = chance.choice(list(world.arbiter.slots))
        failing = chance.choice(((), checks(world.specs[place[0]])))
        late = chance.random() < 0.2
        found.append((3, lambda: world.checked(place, failing, late)))
    return found
