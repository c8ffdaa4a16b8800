"""Limits as a program writes them: numbers, or text with units."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from msgspec.structs import force_setattr

from circus_cg import spec
from circus_cg.config.options import revised
from circus_cg.errors import ConfigError


class Limits(spec.Limits, frozen=True, kw_only=True):
    """Kernel limits of a group, named as cgroup v2 names them. None leaves the kernel's default.

    - `cpu_max`: CPUs (1.5 is one and a half; or text: `"150%"`); `cpu_weight`: 1 to 10000.
    - `cpuset_cpus`, `cpuset_mems`: lists such as `"0-3,5"`.
    - `memory_max`, `memory_high`, `memory_low`, `memory_swap_max`: bytes, or text such as `"64M"`, `"1.5G"`.
    - `memory_oom_group`: an OOM kill takes the whole group.
    - `pids_max`: processes and threads.
    - `io_max`: device (`"8:0"` or `"/dev/sda"`) to `rbps`, `wbps` (bytes a second), `riops`, `wiops`;
      `io_weight`: 1 to 10000.

    Raises ConfigError for what is no such value.
    """

    if TYPE_CHECKING:

        def __init__(  # noqa: PLR0913 - as many as there are limits
            self,
            *,
            cpu_max: float | str | None = None,
            cpu_weight: int | None = None,
            cpuset_cpus: str | None = None,
            cpuset_mems: str | None = None,
            memory_max: int | str | None = None,
            memory_high: int | str | None = None,
            memory_low: int | str | None = None,
            memory_swap_max: int | str | None = None,
            memory_oom_group: bool = False,
            pids_max: int | None = None,
            io_max: Mapping[str, Mapping[str, int | str]] | tuple[spec.IoMax, ...] = (),
            io_weight: int | None = None,
        ) -> None: ...

    def __post_init__(self) -> None:
        for field, value in vars_of(understood(self)).items():
            force_setattr(self, field, value)


def understood(limits: spec.Limits | Mapping[str, Any], key: str = "limits") -> spec.Limits:
    """With numbers for texts. Raises ConfigError, which names them by the option's `key`."""
    if not isinstance(limits, spec.Limits | Mapping):
        raise ConfigError([f"{key}: expected Limits or a mapping, found {type(limits).__name__}"])
    given = vars_of(limits) if isinstance(limits, spec.Limits) else dict(limits)
    io = given.get("io_max")
    if isinstance(io, tuple):
        given["io_max"] = {one.device: {f: getattr(one, f) for f in ("rbps", "wbps", "riops", "wiops")} for one in io}
    read: spec.Limits = getattr(revised(spec.WatcherSpec(name="limits", cmd=("true",)), {key: given}), key)
    return read


def vars_of(limits: spec.Limits) -> dict[str, Any]:
    return {field: getattr(limits, field) for field in spec.Limits.__struct_fields__}
