"""A watcher's slots against a world that hypothesis plays: it looks for the shortest story that breaks a promise."""

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from circus_cg.spec import Backoff, Flapping, WatcherSpec
from tests.simulation.host import End, Key
from tests.simulation.world import ENDS, World


class WorkersInTheWorld(RuleBasedStateMachine):
    world: World

    @initialize(
        n=st.integers(1, 2),
        attempts=st.integers(0, 2),
        limit=st.integers(-1, 1),
        graceful=st.sampled_from((0.0, 5.0)),
        initial=st.sampled_from((0.0, 0.5)),
    )
    def begin(self, n: int, attempts: int, limit: int, graceful: float, initial: float) -> None:
        spec = WatcherSpec(
            name="w",
            cmd=("true",),
            numprocesses=n,
            graceful_timeout=graceful,
            max_retry=limit,
            backoff=Backoff(initial=initial),
            flapping=Flapping(attempts=attempts, max_retry=limit),
        )
        self.world = World((spec,))

    @property
    def is_up(self) -> bool:
        return self.world.arbiter is not None

    # -- the operator ------------------------------------------------------------------------------

    @precondition(lambda self: self.is_up)
    @rule()
    def start(self) -> None:
        self.world.start("w")

    @precondition(lambda self: self.is_up)
    @rule()
    def stop(self) -> None:
        self.world.stop("w")

    @precondition(lambda self: self.is_up)
    @rule()
    def restart(self) -> None:
        self.world.restart("w")

    @precondition(lambda self: self.is_up)
    @rule()
    def freeze(self) -> None:
        self.world.freeze("w")

    @precondition(lambda self: self.is_up)
    @rule()
    def thaw(self) -> None:
        self.world.thaw("w")

    @precondition(lambda self: self.is_up)
    @rule(n=st.integers(0, 3))
    def resize(self, n: int) -> None:
        self.world.resize("w", n)

    # -- keeper, kernel, time ------------------------------------------------------------------------

    @precondition(lambda self: self.world.host.launching())
    @rule(data=st.data(), stubborn=st.booleans())
    def spawned(self, data: st.DataObject, stubborn: bool) -> None:
        self.world.host.launched(self.one_of(data, self.world.host.launching()), stubborn=stubborn)

    @precondition(lambda self: self.world.host.launching())
    @rule(data=st.data())
    def launch_fails(self, data: st.DataObject) -> None:
        self.world.host.launch_fails(self.one_of(data, self.world.host.launching()))

    @precondition(lambda self: self.world.host.news)
    @rule()
    def news_arrive(self) -> None:
        self.world.deliver()

    @precondition(lambda self: self.world.host.living())
    @rule(data=st.data(), end=st.sampled_from(ENDS))
    def dies(self, data: st.DataObject, end: End) -> None:
        self.world.host.dies(self.one_of(data, self.world.host.living()), end)

    @precondition(lambda self: self.world.host.living())
    @rule(data=st.data())
    def forks(self, data: st.DataObject) -> None:
        self.world.forks(self.one_of(data, self.world.host.living()))

    @precondition(lambda self: self.world.host.groups)
    @rule(data=st.data(), wedged=st.booleans())
    def wedges(self, data: st.DataObject, wedged: bool) -> None:
        self.world.wedge(self.one_of(data, list(self.world.host.groups)), wedged)

    @rule(seconds=st.sampled_from((0.1, 1.0, 7.0, 70.0)))
    def wait(self, seconds: float) -> None:
        self.world.advance(seconds)

    # -- the arbiter -------------------------------------------------------------------------------

    @precondition(lambda self: self.is_up)
    @rule(fuse=st.integers(0, 4))
    def arbiter_dies(self, fuse: int) -> None:
        self.world.arbiter_dies(fuse)

    @precondition(lambda self: not self.is_up)
    @rule()
    def arbiter_boots(self) -> None:
        self.world.arbiter_boots()

    @invariant()
    def every_promise_is_kept(self) -> None:
        if hasattr(self, "world"):
            self.world.check()

    def teardown(self) -> None:
        """Whatever happened before: in a calm world all arrive, and a stop ends with nothing left."""
        if hasattr(self, "world"):
            self.world.settle()

    @staticmethod
    def one_of(data: st.DataObject, keys: list[Key]) -> Key:
        return data.draw(st.sampled_from(sorted(keys)))


TestWorkersInTheWorld = WorkersInTheWorld.TestCase
TestWorkersInTheWorld.settings = settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
