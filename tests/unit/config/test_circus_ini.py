"""circus.ini to specs: each section and key, and what is said about those that do not act."""

from __future__ import annotations

import signal

import pytest

from circus_cg.config import circus_ini
from circus_cg.config.document import Text
from circus_cg.config.findings import Findings, Kind, told
from circus_cg.config.ini_surroundings import Surroundings
from circus_cg.config.loader import Loaded
from circus_cg.errors import ConfigError
from circus_cg.spec import ArbiterSpec, Backoff, Flapping, IoMax, Limits, Rlimit, UdpWatchdog, WatcherSpec

ENVIRON = {"HOME": "/home/jo", "PATH": "/bin", "PORT": "80", "TOKEN": "s3cret", "BROKEN": "a\udcff"}


def read(text: str, directory: str = "/srv") -> Loaded:
    findings = Findings()
    spec = circus_ini.read(Text("shop.ini", text), Surroundings(ENVIRON, directory, 1024), findings)
    return Loaded(spec=spec, notices=findings.notices)


def watcher(options: str) -> WatcherSpec:
    """With that one watcher's options, and no notices."""
    loaded = read(f"[watcher:web]\ncmd = serve\n{options}")
    assert loaded.notices == ()
    return loaded.spec.watchers[0]


def notices(text: str) -> list[str]:
    return [line.removeprefix("shop.ini:") for line in told(read(text).notices)]


def problems(text: str) -> list[str]:
    with pytest.raises(ConfigError) as raised:
        read(text)
    return [line.removeprefix("shop.ini:") for line in raised.value.problems]


def problem(options: str) -> str:
    (line,) = problems(f"[watcher:web]\ncmd = serve\n{options}")
    return line


def test_our_own_options_of_the_daemon() -> None:
    loaded = read("[circus]\nname = shop\ncgroup_root = /apps\non_missing = warn\n")
    assert loaded == Loaded(spec=ArbiterSpec(name="shop", cgroup_root="/apps", on_missing="warn"))


def test_the_daemon_s_umask_is_the_workers_unless_they_have_their_own() -> None:
    spec = read("[circus]\numask = 027\n[watcher:a]\ncmd = a\n[watcher:b]\ncmd = b\numask = 0\n").spec
    assert [one.umask for one in spec.watchers] == [0o027, 0]


def test_our_own_options_of_a_watcher_are_dotted() -> None:
    spec = watcher("""\
min_uptime = 2s
nice = -5
oom_score_adj = 100
groups = video, 44
umask = 022
backoff.initial = 500ms
backoff.max = 1m
backoff.jitter = 0
limits.memory_max = 64M
limits.memory_oom_group = 1
limits.cpu_max = 150%
limits.pids_max = max
limits.io_max = 8:0 rbps=1M wiops=max, /dev/sdb riops=100
watcher_limits.cpu_max = 2
watcher_limits.cpuset_cpus = 0-3
""")
    assert (spec.min_uptime, spec.nice, spec.oom_score_adj, spec.umask) == (2.0, -5, 100, 0o022)
    assert spec.groups == ("video", 44)
    assert spec.backoff == Backoff(initial=0.5, max=60.0, jitter=0)
    assert spec.limits == Limits(
        memory_max=64 << 20,
        memory_oom_group=True,
        cpu_max=1.5,
        io_max=(IoMax(device="8:0", rbps=1 << 20), IoMax(device="/dev/sdb", riops=100)),
    )
    assert spec.watcher_limits == Limits(cpu_max=2.0, cpuset_cpus="0-3")


def test_a_stream_has_circus_s_way_or_ours_but_not_both() -> None:
    assert watcher("stdout = /var/log/x\nstderr = null\n").stdout == "/var/log/x"
    text = "stdout = null\nstdout_stream.class = StdoutStream\n"
    assert problem(text) == "4: stdout in [watcher:web]: stdout and stdout_stream.... are both there; remove one"


def test_a_relative_path_is_from_where_the_daemon_is_started() -> None:
    spec = read("[watcher:a]\ncmd = a\nworking_dir = sub/../x\nstdout_stream.filename = log/a\n", "/srv").spec.watchers[
        0
    ]
    assert (spec.working_dir, spec.stdout) == ("/srv/x", "/srv/log/a")
    assert read("[watcher:a]\ncmd = a\n", "/srv").spec.watchers[0].working_dir == "/srv"


def test_resource_limits() -> None:
    spec = watcher("rlimit_CORE = 0\nrlimit_as = 1G\nrlimit_ofile =\nrlimit_stack =\nrlimit_nproc = 10:\n")
    assert spec.rlimits == {
        "core": Rlimit(soft=0, hard=0),
        "as": Rlimit(soft=1 << 30, hard=1 << 30),
        "nofile": Rlimit(soft=1024, hard=1024),
        "stack": Rlimit(),
        "nproc": Rlimit(soft=10, hard=None),
    }


@pytest.mark.parametrize(("text", "number"), [("QUIT", signal.SIGQUIT), ("sigusr1", signal.SIGUSR1), ("9", 9)])
def test_signals(text: str, number: int) -> None:
    assert watcher(f"stop_signal = {text}\n").stop_signal == number


def test_an_environment_is_put_together_in_the_order_of_the_file() -> None:
    spec = read("""\
[watcher:web]
cmd = serve
[env:w*,other]
A = pattern
B = pattern
[env]
A = all
C = $HOME/$NOBODY-$PORT
[env:web]
B = own
""").spec
    assert spec.watchers[0].env == {"A": "pattern", "B": "own", "C": "/home/jo/$NOBODY-80"}


def test_a_secret_with_a_dollar_is_not_mangled() -> None:
    spec = read("[watcher:a]\ncmd = a\n[env]\nPASSWORD = pa$word$NOT_THERE$$HOMELESS\n").spec
    assert spec.watchers[0].env == {"PASSWORD": "pa$word$NOT_THERE$$HOMELESS"}


def test_a_reference_is_replaced_in_any_option_in_any_case() -> None:
    spec = watcher(
        "working_dir = $(circus.env.home)\nnumprocesses = ((CIRCUS.ENV.Port))\nlimits.pids_max = $(circus.env.PORT)\n"
    )
    assert (spec.working_dir, spec.numprocesses, spec.limits.pids_max) == ("/home/jo", 80, 80)


def test_the_worker_s_number_is_left_for_the_spawn() -> None:
    loaded = read("[watcher:a]\ncmd = run $(circus.wid) ((circus.WID))\nwid = 7\n")
    assert loaded.spec.watchers[0].cmd == ("run", "$(circus.wid)", "((circus.WID))")


def test_a_reference_to_nothing_is_told() -> None:
    text = "[watcher:a]\ncmd = run $(circus.env.nobody) $(circus.sockets.web) $WID\n"
    assert read(text).spec.watchers[0].cmd == ("run", "$(circus.env.nobody)", "$(circus.sockets.web)", "$WID")
    assert notices(text) == [
        "2: cmd: $(circus.env.nobody) stays as written: it names nothing here",
        "2: cmd: not yet: $(circus.sockets.web) stays as written, since there are no sockets",
        "2: cmd: $WID stays as written; $(circus.wid) is the worker's number",
    ]


def test_the_worker_s_number_is_for_its_command_alone() -> None:
    text = "[watcher:a]\ncmd = run\nstdout_stream.filename = /log/$(circus.wid)\nworking_dir = /x/$(circus.env.no)\n"
    assert notices(text) == [
        "3: stdout: $(circus.wid) stays as written: it names nothing here",
        "4: working_dir: $(circus.env.no) stays as written: it names nothing here",
    ]


@pytest.mark.parametrize(
    ("plugin", "options", "rule"),
    [
        (None, "", Flapping(max_retry=-1)),
        (None, "flapping.attempts = 3\n", Flapping(attempts=3, max_retry=-1)),
        (None, "flapping.active = false\nflapping.attempts = 3\n", Flapping(attempts=0)),
        ("", "", Flapping(attempts=2, window=1, retry_in=7, max_retry=5)),
        ("window = 10\nmax_retry = -1\n", "", Flapping(attempts=2, window=10, retry_in=7, max_retry=-1)),
        ("window = 10\n", "flapping.window = 20s\n", Flapping(attempts=2, window=20, retry_in=7, max_retry=5)),
        ("active = 0\n", "", Flapping(attempts=0)),
        ("active = 0\n", "flapping.active = 1\n", Flapping(attempts=2, window=1, retry_in=7, max_retry=5)),
    ],
)
def test_flapping_is_the_plugin_s_unless_the_watcher_has_its_own(
    plugin: str | None, options: str, rule: Flapping
) -> None:
    section = "" if plugin is None else f"[plugin:x]\nuse = circus.plugins.flapping.Flapping\n{plugin}"
    assert read(f"{section}[watcher:a]\ncmd = a\n{options}").spec.watchers[0].flapping == rule


def test_what_asks_for_nothing_is_silent() -> None:
    watcher(
        "use_sockets = False\nwarmup_delay = 0\nrespawn = True\nsend_hup = no\npriority = 0\nclose_child_stdin = 1\n"
    )
    assert read("[circus]\nstatsd = False\nhttpd = 0\ndebug = no\nmulticast_endpoint =\n").notices == ()


def test_what_does_not_act_gets_one_line_however_often_it_is_there() -> None:
    text = "".join(f"[watcher:w{number}]\ncmd = a\non_demand = True\n" for number in range(12))
    assert notices(text) == [
        "3: on_demand: not yet: workers start at once, not at the first connection"
        " (also at 6, 9, 12, 15, 18, 21, 24, 27 and 3 more)"
    ]


@pytest.mark.parametrize("key", ["health", "health.up", "health.up.tcp"])
def test_a_health_check_is_told_to_need_yaml(key: str) -> None:
    text = f"[watcher:a]\ncmd = a\n{key} = 127.0.0.1:80\n"
    assert read(text).spec.watchers[0].health == ()
    why = "a check needs circus-cg's own YAML, which `circus-cg import` makes of this file"
    assert notices(text) == [f"3: {key}: not yet: {why}"]


def test_unknown_keys_and_sections_are_warnings_with_a_guess() -> None:
    text = """\
[circus]
end_point = x
[watcher:a]
cmd = a $(circus.numproceses)
numproceses = 3
[socket:s]
prt = 1
[watchers:b]
cmd = b
[plugin:f]
use = circus.plugins.flapping.Flapping
windows = 3
[env:nobody]
X = y
[plugin:none]
x = y
"""
    assert read(text).spec.watchers[0].cmd == ("a", "3")
    found = read(text).notices
    assert [f"{one.line}: {one.text}" for one in found if one.kind is Kind.UNKNOWN] == [
        "2: unknown key 'end_point' in [circus]; did you mean 'endpoint'?",
        "5: unknown key 'numproceses' in [watcher:a]; did you mean 'numprocesses'?",
        "7: unknown key 'prt' in [socket:s]; did you mean 'port'?",
        "8: unknown section [watchers:b]; did you mean 'watcher:b'?",
        "12: unknown key 'windows' in [plugin:f]",
    ]
    assert [f"{one.line}: {one.text}" for one in found if one.kind is Kind.NOTE] == [
        "13: [env:nobody] is for no watcher",
        "15: [plugin:none] has no `use`, and is skipped",
    ]


def test_a_plugin_is_told_with_what_is_there_instead() -> None:
    text = "[plugin:r]\nuse = circus.plugins.resource_watcher.ResourceWatcher\n[plugin:own]\nuse = my.Plugin\n"
    assert notices(text) == [
        "2: [plugin:r]: not yet: limits.memory_max and limits.cpu_max bind each worker",
        "4: [plugin:own]: not yet: no plugins are run",
    ]


def test_a_guess_repeats_nothing_that_a_terminal_would_obey() -> None:
    assert notices("[watchers:a\0b]\nx = y\n") == [
        r"1: unknown section [watchers:a\x00b]; did you mean 'watcher:a\x00b'?"
    ]


WATCHDOG = "[plugin:dog]\nuse = circus.plugins.watchdog.WatchDog\nloop_rate = 5\n"
OURS = "[circus]\nudp_watchdog.port = 1700\n"


@pytest.mark.parametrize("text", [WATCHDOG + OURS, OURS + WATCHDOG])
def test_the_watchdog_plugin_and_our_own_options_are_of_one_watchdog(text: str) -> None:
    assert read(text).spec.udp_watchdog == UdpWatchdog(port=1700, loop_rate=5.0)


def test_what_both_say_of_the_watchdog_is_refused() -> None:
    assert problems(f"{OURS}{WATCHDOG}port = 1664\n") == [
        "6: port is in [plugin:dog], and udp_watchdog.port in [circus]; remove one"
    ]


def test_a_name_with_blanks_gets_circus_s_other_name() -> None:
    text = "[watcher:My  Shop]\ncmd = a\n[env:My*]\nA = b\n"
    (spec,) = read(text).spec.watchers
    assert (spec.name, spec.env) == ("my__shop", {"A": "b"})
    assert notices(text) == ["1: the watcher is named my__shop, as in circus's events: a name has no blanks"]
