"""A configuration with every option, and what it means."""

from __future__ import annotations

import signal

from circus_cg.spec import (
    ArbiterSpec,
    Backoff,
    Control,
    Flapping,
    HealthCheck,
    History,
    IoMax,
    Limits,
    MemoryPolicy,
    Metrics,
    PressurePolicy,
    Rlimit,
    ScalePolicy,
    StopStep,
    UdpWatchdog,
    Watchdog,
    WatcherSpec,
)

WHOLE = """\
name: shop
cgroup_root: /apps
on_missing: warn
events_kept: 500
loglevel: debug
logoutput: /var/log/shop.log
warmup_delay: 250ms
exit_with: web
pidfile: /run/shop.pid
include: []
control:
  tcp: tcp://[::]:7777
  keys: /srv/keys
  audit: /var/log/audit.log
  rate: 50
  burst: 10
  queue: 5
  connections: 20
  handshake_timeout: 2s
history: {age: 2d, size: 8M, usage: 30s}
metrics: {listen: "127.0.0.1:9187", workers: false}
pressure: {full_at: 50, lasting: 20s, calm_at: 5, calm_after: 5s, pause: 10s}
udp_watchdog:
  ip: 127.0.0.2
  port: 1665
  loop_rate: 5s
  max_count: 2
  watchers_regex: web.*
  msg_regex: (?P<pid>[0-9]+)
  stop_signal: USR1
  graceful_timeout: 1s
watchers:
  web:
    cmd: serve --title 'My Shop' $HOME
    numprocesses: 2
    singleton: false
    autostart: no
    priority: 3
    after: db
    requires: [log, db]
    warmup_delay: 1.5
    env: {PORT: 8080, DEBUG: yes, EMPTY: ""}
    env_file: /etc/web.env
    copy_env: true
    copy_path: true
    virtualenv: /srv/venv
    virtualenv_py_ver: 3.10
    working_dir: /srv
    uid: 1000
    gid: www
    groups: [44, video]
    umask: 022
    nice: -5
    sched_policy: rr
    sched_priority: 7
    ionice_class: best-effort
    ionice_level: 6
    cpu_affinity: 0-1,3
    rlimits: {nofile: 1024, core: [0, infinity], stack: infinity, as: {soft: 1G, hard: 2G}}
    oom_score_adj: 100
    ambient_capabilities: [net_bind_service, CAP_CHOWN]
    bounding_capabilities: net_bind_service, cap_chown kill
    no_new_privs: true
    stdout: null
    stderr: /var/log/web.log
    stop_signal: SIGINT
    graceful_timeout: 1m30s
    stop: [TERM 10s, SIGRTMIN+2 500ms]
    stop_children: true
    send_hup: true
    restart: on-failure
    success_exit_status: 75, HUP
    restart_prevent_exit_status: [3, SIGABRT]
    max_age: 2h
    max_age_variance: 5m
    min_uptime: 500ms
    max_retry: -1
    backoff: {initial: 1, max: 10s, jitter: 0.2}
    flapping: {attempts: 3, window: 30s, retry_in: 5, max_retry: 2}
    limits:
      cpu_max: 150%
      cpu_weight: 200
      cpuset_cpus: 0-1
      cpuset_mems: "0"
      memory_max: 512M
      memory_high: 400M
      memory_low: 0
      memory_swap_max: max
      memory_oom_group: true
      pids_max: 64
      io_max: {"8:0": {rbps: 1M, wiops: max}, /dev/sdb: {wbps: 2M}}
      io_weight: 50
    watcher_limits: {memory_max: 1G}
    autoscale:
      max: 8
      min: 2
      grow_at: 0.95
      target: 0.8
      shrink_at: 0.4
      grow_window: 6s
      shrink_window: 5m
      grow_step: 0.5
      shrink_step: 0.25
      sample: 1s
      warmup: 10s
      cpus: 2
      backlog: 20
      hold: 10m
      dry_run: true
    memory_policy: {restart_above: 450M, restart_after: 1m, stalled_at: 30, stalled_after: 10s}
    ready: notify
    notification_fd: 5
    start_timeout: 2m
    watchdog: {timeout: 10s, signal: QUIT}
    health:
      port: {tcp: 8080, kind: readiness, interval: 1s, timeout: 500ms, failures: 2, window: 5, successes: 2}
      page: {http: "https://localhost:8080/$(circus.wid)", verify: false, start_period: 5s}
      tool: {exec: check --all}
  db: {cmd: db}
  log: {cmd: log}
"""

SPEC = ArbiterSpec(
    name="shop",
    cgroup_root="/apps",
    on_missing="warn",
    loglevel="debug",
    logoutput="/var/log/shop.log",
    events_kept=500,
    warmup_delay=0.25,
    exit_with="web",
    pidfile="/run/shop.pid",
    control=Control(
        tcp="tcp://[::]:7777",
        keys="/srv/keys",
        audit="/var/log/audit.log",
        rate=50.0,
        burst=10,
        queue=5,
        connections=20,
        handshake_timeout=2.0,
    ),
    history=History(age=172800.0, size=8 << 20, usage=30.0),
    metrics=Metrics(listen="127.0.0.1:9187", workers=False),
    pressure=PressurePolicy(full_at=50.0, lasting=20.0, calm_at=5.0, calm_after=5.0, pause=10.0),
    udp_watchdog=UdpWatchdog(
        ip="127.0.0.2", port=1665, loop_rate=5.0, max_count=2, watchers_regex="web.*",
        msg_regex="(?P<pid>[0-9]+)", stop_signal=signal.SIGUSR1, graceful_timeout=1.0,
    ),
    watchers=(
        WatcherSpec(
            name="web",
            cmd=("serve", "--title", "My Shop", "$HOME"),
            numprocesses=2,
            autostart=False,
            priority=3,
            after=("db",),
            requires=("log", "db"),
            warmup_delay=1.5,
            env={"PORT": "8080", "DEBUG": "yes", "EMPTY": ""},
            env_file=("/etc/web.env",),
            copy_env=True,
            copy_path=True,
            virtualenv="/srv/venv",
            virtualenv_py_ver="3.10",
            working_dir="/srv",
            uid=1000,
            gid="www",
            groups=(44, "video"),
            umask=0o22,
            nice=-5,
            sched_policy="rr",
            sched_priority=7,
            ionice_class="best-effort",
            ionice_level=6,
            cpu_affinity="0-1,3",
            rlimits={
                "nofile": Rlimit(soft=1024, hard=1024),
                "core": Rlimit(soft=0, hard=None),
                "stack": Rlimit(),
                "as": Rlimit(soft=1 << 30, hard=2 << 30),
            },
            oom_score_adj=100,
            ambient_capabilities=("net_bind_service", "CAP_CHOWN"),
            bounding_capabilities=("net_bind_service", "cap_chown", "kill"),
            no_new_privs=True,
            stdout="null",
            stderr="/var/log/web.log",
            stop_signal=signal.SIGINT,
            graceful_timeout=90.0,
            stop=(StopStep(signal.SIGTERM, 10.0), StopStep(signal.SIGRTMIN + 2, 0.5)),
            stop_children=True,
            send_hup=True,
            restart="on-failure",
            success_exit_status=(75, "HUP"),
            restart_prevent_exit_status=(3, "SIGABRT"),
            max_age=7200.0,
            max_age_variance=300.0,
            min_uptime=0.5,
            max_retry=-1,
            backoff=Backoff(initial=1.0, max=10.0, jitter=0.2),
            flapping=Flapping(attempts=3, window=30.0, retry_in=5.0, max_retry=2),
            limits=Limits(
                cpu_max=1.5,
                cpu_weight=200,
                cpuset_cpus="0-1",
                cpuset_mems="0",
                memory_max=512 << 20,
                memory_high=400 << 20,
                memory_low=0,
                memory_swap_max=None,
                memory_oom_group=True,
                pids_max=64,
                io_max=(IoMax(device="8:0", rbps=1 << 20), IoMax(device="/dev/sdb", wbps=2 << 20)),
                io_weight=50,
            ),
            watcher_limits=Limits(memory_max=1 << 30),
            autoscale=ScalePolicy(
                max=8, min=2, grow_at=0.95, target=0.8, shrink_at=0.4, grow_window=6.0, shrink_window=300.0,
                grow_step=0.5, shrink_step=0.25, sample=1.0, warmup=10.0, cpus=2.0, backlog=20, hold=600.0,
                dry_run=True,
            ),
            memory_policy=MemoryPolicy(
                restart_above=450 << 20, restart_after=60.0, stalled_at=30.0, stalled_after=10.0
            ),
            ready="notify",
            notification_fd=5,
            start_timeout=120.0,
            watchdog=Watchdog(timeout=10.0, signal=signal.SIGQUIT),
            health=(
                HealthCheck(
                    name="port", kind="readiness", tcp="8080", interval=1.0, timeout=0.5, failures=2, window=5,
                    successes=2,
                ),
                HealthCheck(
                    name="page", http="https://localhost:8080/$(circus.wid)", verify=False, start_period=5.0
                ),
                HealthCheck(name="tool", exec=("check", "--all")),
            ),
        ),
        WatcherSpec(name="db", cmd=("db",)),
        WatcherSpec(name="log", cmd=("log",)),
    ),
)  # fmt: skip
