"""The options of the control channel over the network."""

from __future__ import annotations

import msgspec

from circus_cg.config.option import SECONDS, Option
from circus_cg.spec import Control

OPTIONS: dict[type[msgspec.Struct], dict[str, Option]] = {
    Control: {
        "tcp": Option(
            "`tcp://ADDRESS:PORT` to listen on: IPv4, IPv6 in brackets; `[::]` is all of both, `*` all of IPv4",
            also=("endpoint", "listen", "port", "bind"),
            absent="nothing listens on the network",
        ),
        "keys": Option(
            "the directory of the server's key and of the list of who may come: an absolute path",
            also=("keyring", "authorized"),
            absent="`/etc/circus-cg/keys`",
        ),
        "audit": Option(
            "the file, mode 0600, that gets a line for each command: an absolute path",
            also=("audit_log", "log"),
            absent="`audit.log` in the state directory",
        ),
        "rate": Option("requests of one key that are served in a second", least=0.1, most=1e6, also=("rate_limit",)),
        "burst": Option("so many at once after a pause", least=1, most=1_000_000),
        "queue": Option("so many more wait for their turn; the next are refused", least=0, most=10_000),
        "connections": Option(
            "connections at the same time, half of them of one key", least=2, most=10_000, also=("max_connections",)
        ),
        "handshake_timeout": Option(
            "so long may a connection take to show its key", SECONDS, 0.1, 3600, also=("handshake_ivl",)
        ),
    },
}
