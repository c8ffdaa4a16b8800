"""Who begins before whom."""

import pytest

from circus_cg.core.order import cycle, dependants, sequence
from circus_cg.spec import WatcherSpec


def watcher(name: str, **options: object) -> WatcherSpec:
    return WatcherSpec(name=name, cmd=("true",), **options)  # type: ignore[arg-type]


def test_the_higher_priority_begins_first_and_equals_as_they_are_given() -> None:
    specs = [watcher("b"), watcher("a"), watcher("low", priority=-1), watcher("high", priority=1)]
    assert sequence(specs) == ["high", "b", "a", "low"]


def test_who_is_waited_for_begins_first_whatever_the_priority() -> None:
    specs = [
        watcher("web", requires=("db",), after=("log",), priority=9),
        watcher("log"),
        watcher("db", after=("disk",)),
    ]
    found = sequence([*specs, watcher("disk")])
    assert found.index("disk") < found.index("db") < found.index("web")
    assert found.index("log") < found.index("web")
    assert sorted(found) == ["db", "disk", "log", "web"]


def test_names_that_nobody_has_are_left_alone() -> None:
    assert sequence([watcher("web", after=("gone",))]) == ["web"]
    assert cycle([watcher("web", after=("gone",))]) == []


def test_who_depends_on_whom() -> None:
    specs = [watcher("web", requires=("db",)), watcher("jobs", after=("db", "web")), watcher("db")]
    assert dependants(specs) == {"web": {"jobs"}, "jobs": set(), "db": {"web", "jobs"}}


@pytest.mark.parametrize(
    ("edges", "around"),
    [
        ({"a": ("a",)}, ["a", "a"]),
        ({"a": ("b",), "b": ("c",), "c": ("b",)}, ["b", "c", "b"]),
        ({"a": ("b", "c"), "b": ("c",), "c": ()}, []),
        ({"a": ("b", "c"), "b": ("d",), "c": ("d",), "d": ()}, []),
        ({"a": ("c",), "b": ("a",), "c": ("b",)}, ["a", "c", "b", "a"]),
    ],
)
def test_a_cycle_is_told_by_its_names(edges: dict[str, tuple[str, ...]], around: list[str]) -> None:
    specs = [watcher(name, after=others[:1], requires=others[1:]) for name, others in edges.items()]
    assert cycle(specs) == around
    assert sorted(sequence(specs)) == sorted(edges)


def test_a_long_chain_is_no_burden() -> None:
    specs = [watcher(f"w{number}", after=(f"w{number + 1}",)) for number in range(20_000)]
    assert cycle(specs) == []
    assert sequence(specs)[:2] == ["w19999", "w19998"]
    closed = [*specs, watcher("w20000", after=("w0",))]
    assert len(cycle(closed)) == 20_002
