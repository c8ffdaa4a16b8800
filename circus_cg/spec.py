"""What the operator wants: immutable, validated, comparable.

Numbers carry no unit strings here: bytes are int, CPUs and seconds are float (`units` converts at the door).
The structs refuse unknown fields, so that a typo can't travel.
"""

from __future__ import annotations

from signal import SIGABRT, SIGTERM
from typing import NamedTuple

import msgspec

DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"  # a worker's, unless its env has another


class Spec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Base of all specs."""


class IoMax(Spec, frozen=True, kw_only=True):
    """Bandwidth and operation limits of one block device; None leaves that direction unlimited."""

    device: str  # "MAJOR:MINOR" or a path such as /dev/sda, resolved when applied
    rbps: int | None = None  # bytes a second
    wbps: int | None = None
    riops: int | None = None  # operations a second
    wiops: int | None = None


class Limits(Spec, frozen=True, kw_only=True):
    """Kernel limits of one cgroup, named as the v2 files are with `_` for `.`; None leaves the kernel's default."""

    cpu_max: float | None = None  # CPUs: 1.5 is one and a half
    cpu_weight: int | None = None  # 1 to 10000, the kernel's default is 100
    cpuset_cpus: str | None = None  # list format: "0-3,5"
    cpuset_mems: str | None = None
    memory_max: int | None = None  # bytes
    memory_high: int | None = None
    memory_low: int | None = None
    memory_swap_max: int | None = None  # bytes of swap alone, as on v2
    memory_oom_group: bool = False  # an OOM kill takes the whole group
    pids_max: int | None = None
    io_max: tuple[IoMax, ...] = ()
    io_weight: int | None = None  # 1 to 10000


class Backoff(Spec, frozen=True, kw_only=True):
    """Delay before a restart: `initial` doubling to `max` seconds, plus up to `jitter` (a fraction) of it."""

    initial: float = 0.5
    max: float = 30.0
    jitter: float = 0.1


class Flapping(Spec, frozen=True, kw_only=True):
    """`attempts` short lives inside `window` seconds: wait `retry_in`; after `max_retry` such waits the slot fails.

    `attempts` 0 switches the rule off; `max_retry` -1 never gives up.
    """

    attempts: int = 5
    window: float = 60.0
    retry_in: float = 30.0
    max_retry: int = 5


class StopStep(NamedTuple):
    """A signal that asks a worker to leave, and the seconds it then has."""

    signal: int
    wait: float


class Rlimit(Spec, frozen=True, kw_only=True):
    """Soft and hard value of one resource limit; None is RLIM_INFINITY."""

    soft: int | None = None
    hard: int | None = None


class ScalePolicy(Spec, frozen=True, kw_only=True):
    """How many workers: between `min` and `max`, by how busy the ready ones are.

    All are busy (`grow_at`) for `grow_window` seconds: add some. They are bored (`shrink_at`) for `shrink_window`
    seconds: remove some. Either way towards `target`. Busy is a share of the CPU that a worker could use: 0 to 1.
    """

    max: int
    min: int = 1
    grow_at: float = 0.9
    target: float = 0.7
    shrink_at: float = 0.5
    grow_window: float = 4.0
    shrink_window: float = 60.0
    grow_step: float = 1.0  # at most this share of the workers is added at once, but always one
    shrink_step: float = 0.5
    sample: float = 2.0  # seconds between two looks
    warmup: float = 5.0  # a worker that became ready less than this ago does not tell how busy it is
    cpus: float = 1.0  # that one worker can use: its threads
    backlog: int | None = None  # this many waiting requests a ready worker are too many; None: not looked at
    hold: float = 300.0  # seconds for which a count that the operator gave stays
    dry_run: bool = False  # decide and tell, but leave the count


class MemoryPolicy(Spec, frozen=True, kw_only=True):
    """When a worker's memory use is answered by a new life of it, one worker of the watcher at a time."""

    restart_above: int | None = None  # bytes
    restart_after: float = 30.0  # seconds above it
    stalled_at: float | None = 20.0  # percent of time in which all of it waits for memory (PSI full avg10), at its high
    stalled_after: float = 30.0


class PressurePolicy(Spec, frozen=True, kw_only=True):
    """When the host's memory pressure is answered by ending workers, the least important watcher's first."""

    full_at: float = 60.0  # percent of time in which everything waits for memory (PSI full avg10); systemd-oomd's
    lasting: float = 30.0  # seconds above it
    calm_at: float = 10.0  # below this, for `calm_after` seconds, the pressure is over
    calm_after: float = 10.0
    pause: float = 15.0  # seconds from one end to the next: memory comes back slowly


class Watchdog(Spec, frozen=True, kw_only=True):
    """A worker that does not say WATCHDOG=1 for `timeout` seconds once it is ready is ended, `signal` first."""

    timeout: float | None = None  # None: it is not watched
    signal: int = SIGABRT


class HealthCheck(Spec, frozen=True, kw_only=True):
    """A question put to each worker again and again: one of `exec`, `tcp` and `http` says how.

    It fails when `failures` of the last `window` answers were bad, and is passed again after `successes` good ones.
    """

    name: str
    kind: str = "liveness"  # liveness: a failure ends the worker | readiness: it is told, and holds growth and reloads
    exec: tuple[str, ...] = ()  # a command, run as the worker would run it, beside its group
    tcp: str | None = None  # HOST:PORT, or a port of 127.0.0.1
    http: str | None = None  # a URL, also https
    interval: float = 10.0  # seconds from one answer to the next question
    timeout: float = 3.0
    failures: int = 3
    window: int | None = None  # None: as many as `failures`
    successes: int = 1
    start_period: float = 0.0  # seconds after the worker became ready, before the first question
    verify: bool = True  # the certificate of https


class UdpWatchdog(Spec, frozen=True, kw_only=True):
    """circus's watchdog plugin: workers send `pid;time` to a UDP socket, or are replaced."""

    ip: str = "127.0.0.1"
    port: int = 1664
    loop_rate: float = 60.0  # seconds between two looks
    max_count: int = 3  # looks without a word
    watchers_regex: str = ".*"
    msg_regex: str = "^(?P<pid>.*);(?P<timestamp>.*)$"
    stop_signal: int | None = None  # None: the watcher's own
    graceful_timeout: float | None = None


class WatcherSpec(Spec, frozen=True, kw_only=True):
    """One command kept running as `numprocesses` workers."""

    name: str
    cmd: tuple[str, ...]
    numprocesses: int = 1
    singleton: bool = False  # never more than one worker
    autostart: bool = True
    priority: int = 0  # the higher ones start first and stop last
    after: tuple[str, ...] = ()  # watchers that start before this one, and stop after it
    requires: tuple[str, ...] = ()  # and without whose ready workers it does not begin
    warmup_delay: float = 0.0  # seconds between the starts of two of its workers
    env: dict[str, str] = {}
    env_file: tuple[str, ...] = ()  # absolute paths; a later file goes before an earlier one, env before all
    copy_env: bool = False  # start from the daemon's own environment
    copy_path: bool = False  # PYTHONPATH is what the daemon's Python imports from
    virtualenv: str | None = None  # absolute path
    virtualenv_py_ver: str | None = None  # "3.11"; None: the daemon's own, or the only one that is there
    working_dir: str | None = None  # None: "/"
    uid: str | int | None = None  # name or number
    gid: str | int | None = None  # None: the user's own group
    groups: tuple[str | int, ...] | None = None  # None: the user's supplementary groups
    umask: int | None = None
    nice: int | None = None
    sched_policy: str | None = None  # of linux.POLICIES
    sched_priority: int | None = None  # 1 to 99, for fifo and rr
    ionice_class: str | None = None  # of linux.IO_CLASSES
    ionice_level: int | None = None  # 0 to 7, 0 goes first
    cpu_affinity: str | None = None  # list format: "0-3,5"
    rlimits: dict[str, Rlimit] = {}  # "nofile" -> RLIMIT_NOFILE
    oom_score_adj: int | None = None  # None: 0, whatever the daemon's own is
    ambient_capabilities: tuple[str, ...] | None = None  # all that a worker has without being root
    bounding_capabilities: tuple[str, ...] | None = None  # what it can ever have; None: the daemon's
    no_new_privs: bool = False  # no set-user-ID program gives it more
    stdout: str = "inherit"  # inherit | null | an absolute path
    stderr: str = "inherit"
    stop_signal: int = SIGTERM
    graceful_timeout: float = 30.0
    stop: tuple[StopStep, ...] = ()  # instead of the two above, several of them one after the other
    stop_children: bool = False  # those signals go to everything in the worker's group
    send_hup: bool = False  # a reload is a SIGHUP to each worker, not a new life
    restart: str = "always"  # always | on-failure | on-abnormal | never
    success_exit_status: tuple[int | str, ...] = ()  # codes and names of signals that are no failure
    restart_prevent_exit_status: tuple[int | str, ...] = ()  # those after which nothing is restarted
    max_age: float = 0.0  # seconds after which a worker is replaced; 0: never
    max_age_variance: float = 30.0  # up to so many more, by chance
    ready: str = "exec"  # exec | notify | fd: what makes a worker ready
    notification_fd: int = 3  # where `fd` has its pipe
    start_timeout: float = 90.0  # seconds that it may take to become ready
    watchdog: Watchdog = Watchdog()
    health: tuple[HealthCheck, ...] = ()
    min_uptime: float = 1.0  # a life at least this long is no crash at start
    max_retry: int = 5  # exec failures in a row before the slot fails; -1: never
    backoff: Backoff = Backoff()
    flapping: Flapping = Flapping()
    limits: Limits = Limits()  # of each worker
    watcher_limits: Limits = Limits()  # of their sum
    autoscale: ScalePolicy | None = None  # None: `numprocesses`, until the operator says otherwise
    memory_policy: MemoryPolicy = MemoryPolicy()


class Control(Spec, frozen=True, kw_only=True):
    """Who may ask the daemon from afar, and how much; nobody unless `tcp` is set."""

    tcp: str | None = None  # tcp://ADDRESS:PORT, the address IPv4, [IPv6] or *
    keys: str | None = None  # a directory; None: the usual one
    audit: str | None = None  # an absolute path; None: audit.log in the state directory
    rate: float = 100.0  # requests of one key a second
    burst: int = 200  # of them at once after a pause
    queue: int = 100  # more, which wait for their turn
    connections: int = 256
    handshake_timeout: float = 5.0


class History(Spec, frozen=True, kw_only=True):
    """What is kept on disk of what happened: events, decisions, and now and then what each watcher uses."""

    age: float = 7 * 86400.0  # seconds; 0: nothing is kept
    size: int = 64 << 20  # bytes
    usage: float = 60.0  # seconds between two samples; 0: none


class Metrics(Spec, frozen=True, kw_only=True):
    """Who may read what workers use, by HTTP and without a key; nobody unless `listen` is set."""

    listen: str | None = None  # ADDRESS:PORT, the address IPv4 or [IPv6]
    workers: bool = True  # series of each worker too


class ArbiterSpec(Spec, frozen=True, kw_only=True):
    """A daemon's whole configuration."""

    name: str = "default"
    cgroup_root: str | None = None  # path below each hierarchy's mount; None: found from /proc/self/cgroup
    on_missing: str = "refuse"  # refuse | warn: what to do about a limit this host can't enforce
    warmup_delay: float = 0.0  # seconds between the starts of two watchers
    exit_with: str | None = None  # the daemon ends when that watcher has ended for good, with its exit code
    pidfile: str | None = None  # an absolute path
    loglevel: str = "info"  # of keeper.log.LEVELS
    logoutput: str | None = None  # an absolute path; None: standard error
    events_kept: int = 10_000  # for who listens late
    control: Control = Control()
    history: History = History()
    metrics: Metrics = Metrics()
    udp_watchdog: UdpWatchdog | None = None
    pressure: PressurePolicy | None = None  # None: nobody ends for the host's sake
    watchers: tuple[WatcherSpec, ...] = ()

    def watcher(self, name: str) -> WatcherSpec | None:
        return next((w for w in self.watchers if w.name == name), None)
