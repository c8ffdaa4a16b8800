"""io. Source: "IO" in cgroup-v2.rst; blkio-controller.rst for v1."""

from __future__ import annotations

from collections.abc import Iterator

from circus_cg.cgroup.limits.setting import Setting, Support
from circus_cg.spec import Limits

V1 = {
    "io_max": Support("approximate", "blkio.throttle.* leaves buffered writes unthrottled"),
    "io_weight": Support("approximate", "blkio weights act only under the bfq scheduler"),
}
_V1_FILES = {
    "rbps": "blkio.throttle.read_bps_device",
    "wbps": "blkio.throttle.write_bps_device",
    "riops": "blkio.throttle.read_iops_device",
    "wiops": "blkio.throttle.write_iops_device",
}
V1_WEIGHTS = ("blkio.bfq.weight", "blkio.weight")  # the first that the host has
V2_WEIGHTS = ("io.weight", "io.bfq.weight")
BFQ_MOST = 1000  # io.weight goes to 10000; both have 100 in the middle


def v2(limits: Limits) -> Iterator[Setting]:
    """Devices must be MAJOR:MINOR by now."""
    for device in limits.io_max:
        words = (f"{key}={value}" for key in _V1_FILES if (value := getattr(device, key)) is not None)
        yield Setting("io", "io.max", " ".join((device.device, *words)))
    if limits.io_weight is not None:
        yield Setting("io", V2_WEIGHTS[0], str(limits.io_weight))


def v1(limits: Limits) -> Iterator[Setting]:
    for device in limits.io_max:
        for key, file in _V1_FILES.items():
            if (value := getattr(device, key)) is not None:
                yield Setting("blkio", file, f"{device.device} {value}")
    if limits.io_weight is not None:
        yield Setting("blkio", V1_WEIGHTS[0], str(bfq(limits.io_weight)))


def bfq(weight: int) -> int:
    """A weight of 1 to 10000 on bfq's scale of 1 to 1000: the same up to 100, then compressed."""
    return weight if weight <= 100 else 100 + (weight - 100) * (BFQ_MOST - 100) // (10000 - 100)
