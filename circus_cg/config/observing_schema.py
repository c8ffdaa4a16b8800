"""The options of who looks on: the history on disk, and metrics for Prometheus."""

from __future__ import annotations

import msgspec

from circus_cg.config.option import MAX_SECONDS, SECONDS, SIZE, Option
from circus_cg.spec import History, Metrics

OPTIONS: dict[type[msgspec.Struct], dict[str, Option]] = {
    History: {
        "age": Option(
            "what is older is dropped; 0: nothing is kept", SECONDS, 0, MAX_SECONDS, also=("max_age", "keep")
        ),
        "size": Option("the oldest are dropped beyond it", SIZE, 1 << 20, also=("max_size",)),
        "usage": Option(
            "what each watcher uses is kept so often; 0: never", SECONDS, 0, 86400, also=("sample", "interval")
        ),
    },
    Metrics: {
        "listen": Option(
            "`ADDRESS:PORT` for HTTP, such as `127.0.0.1:9187`, IPv6 in brackets: who reaches it may read",
            also=("endpoint", "bind", "address", "port"),
            absent="nobody is served",
        ),
        "workers": Option("series of each worker, beside the watchers'"),
    },
}
