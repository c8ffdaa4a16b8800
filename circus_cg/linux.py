"""Linux's names for what a worker may do, and the numbers the kernel has for them: capabilities, scheduling, IO."""

from __future__ import annotations

from collections.abc import Iterable

CAPABILITIES = (
    "chown", "dac_override", "dac_read_search", "fowner", "fsetid", "kill", "setgid", "setuid", "setpcap",
    "linux_immutable", "net_bind_service", "net_broadcast", "net_admin", "net_raw", "ipc_lock", "ipc_owner",
    "sys_module", "sys_rawio", "sys_chroot", "sys_ptrace", "sys_pacct", "sys_admin", "sys_boot", "sys_nice",
    "sys_resource", "sys_time", "sys_tty_config", "mknod", "lease", "audit_write", "audit_control", "setfcap",
    "mac_override", "mac_admin", "syslog", "wake_alarm", "block_suspend", "audit_read", "perfmon", "bpf",
    "checkpoint_restore",
)  # fmt: skip # each at its number

POLICIES = {"other": 0, "fifo": 1, "rr": 2, "batch": 3, "idle": 5}  # SCHED_OTHER, ...
REAL_TIME = ("fifo", "rr")
IO_CLASSES = {"realtime": 1, "best-effort": 2, "idle": 3}
IO_LEVEL = 4  # the kernel's own default within a class

_CLASS_SHIFT = 13


def capability(name: str) -> str | None:
    """`net_raw` for `net_raw`, `CAP_NET_RAW` and the like; None: there is no such capability."""
    plain = name.lower().removeprefix("cap_")
    return plain if plain in CAPABILITIES else None


def capability_mask(names: Iterable[str]) -> int:
    """1 << number of each. Raises ValueError for a name that isn't one."""
    mask = 0
    for name in names:
        if (known := capability(name)) is None:
            raise ValueError(f"{name!r} is no capability")
        mask |= 1 << CAPABILITIES.index(known)
    return mask


def io_priority(name: str | None, level: int | None) -> int | None:
    """As ioprio_set(2) takes it; None: neither is given. A level alone is within best-effort."""
    if name is None and level is None:
        return None
    chosen = name or "best-effort"
    within = 0 if chosen == "idle" else IO_LEVEL if level is None else level
    return IO_CLASSES[chosen] << _CLASS_SHIFT | within
