"""A spec written as YAML and read back is the same spec, and looks as an operator would write it."""

from __future__ import annotations

from typing import Any, TypeVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from circus_cg import linux
from circus_cg.config import export, native, schema, validate
from circus_cg.spec import (
    ArbiterSpec,
    Backoff,
    Flapping,
    IoMax,
    Limits,
    MemoryPolicy,
    Rlimit,
    ScalePolicy,
    WatcherSpec,
)
from tests.unit.config.whole import WHOLE

T = TypeVar("T")


def again(spec: ArbiterSpec) -> ArbiterSpec:
    return native.read(export.write(spec), "written.yaml")


def written(**options: object) -> str:
    """The lines of one watcher's options."""
    spec = ArbiterSpec(watchers=(WatcherSpec(name="a", **{"cmd": ("run",), **options}),))  # type: ignore[arg-type]
    assert again(spec) == spec
    first, second, *lines = export.write(spec).splitlines()
    assert (first, second) == ("watchers:", "  a:")
    return "\n".join(line.removeprefix("    ") for line in lines if line != "    cmd: run")


# --- Every spec that is valid can be written.

TEXT = st.text(st.characters(exclude_characters="\0", codec="utf-8"), max_size=12)
WORDS = st.sampled_from(
    ["-s", "a b", "yes", "null", "~", "1", "1e3", "0x1", "#", "a #b", "a: b", ":", "[x]", "{x}", "*a", "&a", "!t", "%d",
     "@", "`", "", " ", "\n", "\t", "'", '"', "\\", "é", "\u2028", "\x7f", "$(circus.wid)", "<<", "=", "2001-01-01",
     "...", "---", "- a", "? a", ">", "|", "\ufeff", "\x85", "😀", "a:", "C:", "x,y", "on", "off", ".5", ".", "+1", "-",
     "1_0", "1:30"]
)  # fmt: skip
ANY = TEXT | WORDS
NAMES = st.from_regex(r"\A[a-z0-9_][a-z0-9_.-]{0,8}\Z").filter(lambda name: not list(validate._name(name, ())))
SECONDS = st.one_of(
    st.integers(0, 10**9).map(float),
    st.decimals(0, 10**6, places=3).map(float),
    st.decimals(0, 100, places=9).map(float),
    st.sampled_from([0.5, 0.25, 1e-9, 1.5, 3600.0, 86400.0, 90.0, 999999999.0]),
)
SIZES = st.one_of(
    st.integers(4096, 2**62), st.integers(1, 1000).map(lambda n: n << 20), st.sampled_from([4096, 1 << 40])
)
IDENTITY = (
    st.integers(0, 2**32 - 2) | st.from_regex(r"\A[a-z_][a-z0-9_.-]{0,8}\Z") | st.sampled_from(["yes", "null", "x y"])
)
CPUS = st.decimals("0.01", 8192, places=2).map(float) | st.sampled_from([1.5, 0.125, 64.0])
WEIGHT = st.integers(1, 10000)


@st.composite
def limits(draw: st.DrawFn) -> Limits:
    def maybe(strategy: st.SearchStrategy[T]) -> T | None:
        return draw(st.none() | strategy)

    bound = draw(st.none() | SIZES)
    below = st.integers(4096, bound) if bound else SIZES
    devices = draw(st.lists(st.sampled_from(["8:0", "/dev/sda", "/dev/disk/by id/x"]), unique=True, max_size=2))
    return Limits(
        cpu_max=maybe(CPUS), cpu_weight=maybe(WEIGHT), cpuset_cpus=maybe(st.sampled_from(["0", "0-3,5", "7"])),
        cpuset_mems=maybe(st.just("0-1")), memory_max=bound, memory_high=maybe(below), memory_low=maybe(below),
        memory_swap_max=maybe(st.just(0) | SIZES), memory_oom_group=draw(st.booleans()),
        pids_max=maybe(st.integers(1, 2**62)), io_weight=maybe(WEIGHT),
        io_max=tuple(IoMax(device=one, rbps=maybe(SIZES), wiops=maybe(st.integers(1, 10**6))) for one in devices),
    )  # fmt: skip


@st.composite
def rlimits(draw: st.DrawFn) -> Rlimit:
    hard = draw(st.none() | st.integers(0, 2**62))
    return Rlimit(soft=draw(st.integers(0, hard) if hard is not None else st.none() | SIZES), hard=hard)


CAPABILITY = st.sampled_from(["chown", "CAP_KILL", "Net_Raw", "cap_sys_time"])


@st.composite
def scheduling(draw: st.DrawFn) -> dict[str, Any]:
    """Options that must fit together."""
    policy = draw(st.none() | st.sampled_from(list(linux.POLICIES)))
    io_class = draw(st.none() | st.sampled_from(list(linux.IO_CLASSES)))
    bounding = draw(st.none() | st.lists(CAPABILITY, max_size=3, unique=True).map(tuple))
    return {
        "sched_policy": policy,
        "sched_priority": draw(st.none() | st.integers(1, 99)) if policy in linux.REAL_TIME else None,
        "ionice_class": io_class,
        "ionice_level": None if io_class == "idle" else draw(st.none() | st.integers(0, 7)),
        "cpu_affinity": draw(st.none() | st.sampled_from(["0", "0-3,5"])),
        "bounding_capabilities": bounding,
        "ambient_capabilities": bounding and draw(st.none() | st.just(bounding[:1])),
        "no_new_privs": draw(st.booleans()),
    }


@st.composite
def scaling(draw: st.DrawFn, most: int) -> ScalePolicy:
    largest = draw(st.integers(1, most))
    return ScalePolicy(
        max=largest, min=draw(st.integers(1, largest)), grow_at=draw(st.sampled_from([0.9, 1])), warmup=draw(SECONDS),
        backlog=draw(st.none() | st.integers(1, 99)), dry_run=draw(st.booleans()),
    )  # fmt: skip


@st.composite
def watchers(draw: st.DrawFn, name: str) -> WatcherSpec:
    initial = draw(st.sampled_from([0.0, 0.25, 1.5, 60.0]))
    singleton = draw(st.booleans())
    return WatcherSpec(
        name=name,
        cmd=(draw(ANY.filter(bool)), *draw(st.lists(ANY, max_size=3))),
        numprocesses=draw(st.integers(0, 1 if singleton else 100_000)),
        singleton=singleton,
        env_file=tuple(draw(st.lists(ANY.map(lambda text: f"/{text}"), max_size=2))),
        copy_path=draw(st.booleans()),
        virtualenv=draw(st.none() | ANY.filter(lambda text: ":" not in text).map(lambda text: f"/{text}")),
        virtualenv_py_ver=draw(st.none() | st.sampled_from(["3.10", "3.9"])),
        **draw(scheduling()),
        autostart=draw(st.booleans()),
        env=draw(st.dictionaries(ANY.filter(lambda key: bool(key) and "=" not in key), ANY, max_size=3)),
        copy_env=draw(st.booleans()),
        working_dir=draw(st.none() | ANY.map(lambda text: f"/{text}")),
        uid=draw(st.none() | IDENTITY),
        gid=draw(st.none() | IDENTITY),
        groups=draw(st.none() | st.lists(IDENTITY, max_size=2).map(tuple)),
        umask=draw(st.none() | st.integers(0, 0o777)),
        nice=draw(st.none() | st.integers(-20, 19)),
        rlimits=draw(st.dictionaries(st.sampled_from(schema.RLIMITS), rlimits(), max_size=3)),
        oom_score_adj=draw(st.none() | st.integers(-1000, 1000)),
        stdout=draw(st.sampled_from(["inherit", "null"]) | ANY.map(lambda text: f"/{text}")),
        stop_signal=draw(st.sampled_from([1, 2, 3, 9, 10, 15, 34, 37, 64])),
        graceful_timeout=draw(SECONDS),
        min_uptime=draw(SECONDS),
        max_retry=draw(st.integers(-1, 10**9)),
        backoff=Backoff(initial=initial, max=draw(st.sampled_from([60, 1e9])), jitter=draw(st.sampled_from([0, 0.5]))),
        flapping=Flapping(attempts=draw(st.integers(0, 9)), window=draw(SECONDS), retry_in=draw(SECONDS)),
        limits=draw(limits()),
        watcher_limits=draw(limits()),
        autoscale=draw(st.none() | scaling(1 if singleton else 50)),
        memory_policy=MemoryPolicy(restart_above=draw(st.none() | SIZES), restart_after=draw(SECONDS)),
    )  # fmt: skip


@st.composite
def specs(draw: st.DrawFn) -> ArbiterSpec:
    names = draw(st.lists(NAMES, max_size=3, unique=True))
    return ArbiterSpec(
        name=draw(NAMES),
        cgroup_root=draw(st.none() | st.sampled_from(["/", "/apps/of mine"])),
        on_missing=draw(st.sampled_from(["refuse", "warn"])),
        watchers=tuple(draw(watchers(name)) for name in names),
    )


@settings(max_examples=60)
@given(specs())
def test_what_is_written_is_read_back_as_the_same(spec: ArbiterSpec) -> None:
    assert not list(validate.problems(spec))
    assert again(spec) == spec


def test_every_option_is_written() -> None:
    spec = native.read(WHOLE, "whole.yaml")
    assert again(spec) == spec
    lines = [line.strip() for line in export.write(spec).splitlines()]
    told = {key for cls in schema.OPTIONS for key in schema.fields(cls)} - {"soft", "hard", "include"}
    absent = {key for key in told if not any(line.startswith(f"{key}:") for line in lines)}
    defaults = {"singleton", "pids_max", "memory_swap_max", "riops", "wiops"} & absent  # WHOLE sets some to no limit
    assert absent - defaults == set()


# --- And it is readable.


def test_only_what_differs_is_written() -> None:
    assert export.write(ArbiterSpec()) == "watchers: {}\n"
    assert (
        export.write(ArbiterSpec(watchers=(WatcherSpec(name="a", cmd=("run",)),))) == "watchers:\n  a:\n    cmd: run\n"
    )


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"limits": Limits(memory_max=64 << 20)}, "limits:\n  memory_max: 64M"),
        ({"limits": Limits(memory_max=3 << 29)}, "limits:\n  memory_max: 1536M"),
        ({"limits": Limits(memory_max=4097)}, "limits:\n  memory_max: 4097"),
        ({"limits": Limits(memory_swap_max=0)}, "limits:\n  memory_swap_max: 0"),
        ({"limits": Limits(cpu_max=1.5, pids_max=10)}, "limits:\n  cpu_max: 1.5\n  pids_max: 10"),
        (
            {"limits": Limits(io_max=(IoMax(device="8:0", rbps=1 << 20),))},
            'limits:\n  io_max:\n    "8:0":\n      rbps: 1M',
        ),
        ({"graceful_timeout": 30.0}, ""),
        ({"graceful_timeout": 45.0}, "graceful_timeout: 45s"),
        ({"graceful_timeout": 120.0}, "graceful_timeout: 2m"),
        ({"graceful_timeout": 90.0}, "graceful_timeout: 90s"),
        ({"graceful_timeout": 0.25}, "graceful_timeout: 250ms"),
        ({"graceful_timeout": 1.5}, "graceful_timeout: 1.5s"),
        ({"graceful_timeout": 0.0}, "graceful_timeout: 0s"),
        ({"stop_signal": 2}, "stop_signal: INT"),
        ({"stop_signal": 37}, "stop_signal: RTMIN+3"),
        ({"umask": 0o22}, "umask: 022"),
        ({"uid": "www-data", "gid": 33}, "uid: www-data\ngid: 33"),
        ({"groups": ()}, "groups: []"),
        ({"env_file": ("/a", "/b c")}, "env_file:\n  - /a\n  - /b c"),
        ({"bounding_capabilities": ()}, "bounding_capabilities: []"),
        ({"sched_policy": "batch", "virtualenv_py_ver": "3.10"}, 'virtualenv_py_ver: "3.10"\nsched_policy: batch'),
        ({"groups": ("video", 44)}, "groups:\n  - video\n  - 44"),
        ({"stdout": "null"}, 'stdout: "null"'),
        ({"env": {"A": "b", "N": "1", "YES": "yes"}}, 'env:\n  A: b\n  N: "1"\n  "YES": "yes"'),
        (
            {"rlimits": {"nofile": Rlimit(soft=9, hard=9), "core": Rlimit(soft=0), "as": Rlimit(soft=64, hard=2048)}},
            "rlimits:\n  nofile: 9\n  core: [0, infinity]\n  as: [64, 2K]",
        ),
        ({"cmd": ("serve", "--port", "80")}, "cmd: serve --port 80"),
        ({"cmd": ("sh", "-c", "a; b")}, 'cmd:\n  - sh\n  - "-c"\n  - "a; b"'),
        ({"cmd": ("run", "$(circus.wid)")}, 'cmd:\n  - run\n  - "$(circus.wid)"'),
    ],
)  # fmt: skip
def test_it_looks_as_an_operator_would_write_it(options: dict[str, object], text: str) -> None:
    assert written(**options) == text


def test_comments_stand_above_what_they_are_about() -> None:
    spec = ArbiterSpec(name="shop", watchers=(WatcherSpec(name="a", cmd=("run",)),))
    text = export.write(spec, {(): ["top"], ("watchers", "a"): ["one", "two"]})
    assert text == "# top\nname: shop\nwatchers:\n  # one\n  # two\n  a:\n    cmd: run\n"


def test_more_digits_than_are_read_are_refused() -> None:
    with pytest.raises(ValueError, match="more digits"):
        export.write(ArbiterSpec(watchers=(WatcherSpec(name="a", cmd=("run",), min_uptime=1 / 3),)))
