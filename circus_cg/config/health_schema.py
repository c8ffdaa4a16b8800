"""The options of what keeps an eye on workers: watchdogs and health checks."""

from __future__ import annotations

import msgspec

from circus_cg.config.option import COMMAND, MAX_SECONDS, SECONDS, SIGNAL, Option
from circus_cg.spec import HealthCheck, UdpWatchdog, Watchdog

OF_A_WATCHER = {
    "ready": Option(
        "what makes a worker ready: its exec, `READY=1` on its notify socket, a newline on its notification pipe",
        choices=("exec", "notify", "fd"),
        also=("type", "readiness"),
    ),
    "notification_fd": Option(
        "the descriptor where `ready: fd` has its pipe", least=3, most=1023, also=("notification-fd",)
    ),
    "start_timeout": Option(
        "one that is not ready by then is ended",
        SECONDS,
        0.001,
        MAX_SECONDS,
        also=("timeout_start", "listen_timeout", "startup_timeout"),
    ),
    "watchdog": Option("when a worker that says nothing more is ended", also=("watchdog_sec",)),
    "health": Option("NAME: a mapping, one for each check", also=("healthcheck", "health_checks", "checks")),
}

OPTIONS: dict[type[msgspec.Struct], dict[str, Option]] = {
    Watchdog: {
        "timeout": Option(
            "so long may it not say `WATCHDOG=1` once it is ready",
            SECONDS,
            0.001,
            MAX_SECONDS,
            absent="it is not watched",
        ),
        "signal": Option("how it is asked to end then", SIGNAL, 1, 64),
    },
    HealthCheck: {
        "name": Option("as it is called in reports"),
        "kind": Option(
            "`liveness`: one that fails it is ended; `readiness`: that is told, and holds growth and reloads",
            choices=("liveness", "readiness"),
        ),
        "exec": Option(
            "a command that is run as the worker would run it, in a group of its own; status 0 is good",
            COMMAND,
            also=("cmd", "command"),
            absent="another kind of check",
            expands=True,
        ),
        "tcp": Option("HOST:PORT to connect to, or a port of 127.0.0.1", absent="another kind of check", expands=True),
        "http": Option(
            "a URL to get; a status of 200 to 399 is good",
            also=("https", "url"),
            absent="another kind of check",
            expands=True,
        ),
        "interval": Option("from one answer to the next question", SECONDS, 0.01, MAX_SECONDS, also=("period",)),
        "timeout": Option("an answer that takes longer is bad, and the command killed", SECONDS, 0.01, 3600),
        "failures": Option("so many bad answers fail it", least=1, most=1000, also=("threshold", "failure_threshold")),
        "window": Option("among so many of the last", least=1, most=1000, also=("of",), absent="as many as `failures`"),
        "successes": Option(
            "so many good ones in a row pass it again", least=1, most=1000, also=("success_threshold",)
        ),
        "start_period": Option(
            "from ready to the first question", SECONDS, 0, MAX_SECONDS, also=("initial_delay", "delay")
        ),
        "verify": Option("the certificate of `https`", also=("tls_verify",)),
    },
    UdpWatchdog: {
        "ip": Option("the IPv4 address to listen on", also=("host", "address")),
        "port": Option("the port to listen on", least=1, most=65535),
        "loop_rate": Option("from one look to the next", SECONDS, 0.01, MAX_SECONDS),
        "max_count": Option("a worker not heard of for so many looks is ended", least=1, most=1_000_000),
        "watchers_regex": Option("whose workers are watched: matched from the start of a watcher's name"),
        "msg_regex": Option("how the `pid` is found in a message"),
        "stop_signal": Option("how they are asked to end", SIGNAL, 1, 64, absent="the watcher's own"),
        "graceful_timeout": Option("so long they have then", SECONDS, 0, MAX_SECONDS, absent="the watcher's own"),
    },
}
