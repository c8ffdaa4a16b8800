"""What a launcher is asked and what it answers, and how both look on the native launcher's socket.

launcher.c reads and writes the same bytes: a request is a header and fields of (tag, length, value), each value padded
to 8 bytes, numbers in the machine's own order; strings end in NUL. An answer is one fixed record.
"""

import errno
import os
import struct
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

INLINE_MAX = 65536  # bytes of body in a packet; a larger body is passed in a memfd
BODY_MAX = 16 << 20
FDS_MAX = 249  # the launcher takes 250, one may be the memfd
TARGET_MAX = 65535
CPU_MAX = 65535

# Where a spawn failed; the position is the number on the wire. "launcher": there is none and none can be started.
STAGES = (
    "request", "clone", "fds", "join", "oom_score_adj", "nice", "scheduler", "io_priority", "affinity", "chdir",
    "rlimit", "bounding", "ids", "capabilities", "no_new_privs", "exec", "launcher",
)  # fmt: skip

_VERSION, _BODY_IN_MEMFD = 2, 1
_HEADER = struct.Struct("=BBHIQ")  # version, flags, 0, body length, ident
_FIELD = struct.Struct("=II")  # tag, length
_ANSWER = struct.Struct("=BBBBiiIQ")  # version, kind, stage, 0, pid, errno, 0, ident
_ARGV, _ENV, _CWD, _V2, _V1, _UMASK, _NICE, _RLIMITS, _UID, _GID, _GROUPS, _OOM_SCORE_ADJ, _FDS = range(1, 14)
_SCHEDULER, _IO_PRIORITY, _CPUS, _BOUNDING, _AMBIENT, _NO_NEW_PRIVS, _OWN_PID = range(14, 21)
_ROOM_FOR_A_PID = "0" * 10  # the child writes over it
_STARTED, _RUNNING = 1, 2

ANSWER_SIZE = _ANSWER.size


_CAUSES = {
    ("notify", errno.ENAMETOOLONG): "the runtime directory's path is too long for a socket; set CIRCUS_CG_RUNTIME_DIR",
    ("oom_score_adj", errno.EACCES): "only CAP_SYS_RESOURCE may lower it below the daemon's own; give more",
    ("nice", errno.EACCES): "only CAP_SYS_NICE may lower it; give more",
    ("scheduler", errno.EPERM): "no CAP_SYS_NICE, or the worker's cpu group has no real-time budget;"
    " use another sched_policy, or leave cpu limits out",
    ("io_priority", errno.EPERM): "only CAP_SYS_NICE may ask for realtime; use best-effort",
    ("affinity", errno.EINVAL): "none of these CPUs is there, or in the worker's cpuset; correct cpu_affinity",
    ("rlimit", errno.EPERM): "only CAP_SYS_RESOURCE may raise a hard limit; give less",
    ("bounding", errno.EPERM): "only CAP_SETPCAP may drop capabilities; remove bounding_capabilities",
    ("ids", errno.EPERM): "the user and groups can't be changed, or changed back; run the daemon as root",
    ("capabilities", errno.EPERM): "the daemon has not all of ambient_capabilities itself; give fewer",
}


def explained(stage: str, number: int) -> str:
    """The errno in words, and what is known of its cause and remedy."""
    cause = _CAUSES.get((stage, number))
    return f"{os.strerror(number)}: {cause}" if cause else os.strerror(number)


class SpawnRequest:
    """One process to make. None leaves that property as the launcher has it (its user, mask, priority, ...).

    ident           chosen by the caller, unique among those in flight (0 to 2**64 - 1)
    argv, env       argv[0] is looked up in the PATH of `env`; no shell steps in
    v2, v1          absolute cgroup directories: the one the process is born in, those it joins before its exec
    rlimits         (RLIMIT number, soft, hard), -1 for infinity
    scheduler       (SCHED number, its static priority)
    io_priority     class << 13 | level
    cpus            (first, last) of each range of CPUs it may run on
    bounding        1 << capability for each that it may ever have
    ambient         the same for those that it has after its exec without being root; then it has no others
    no_new_privs    no exec of its own can give it more
    own_pid         names of variables whose value is to be the worker's pid, as it sees it itself
    uid, gid, groups  numbers; they are dropped for good or the spawn fails
    fds             descriptor of the worker -> descriptor of the caller. 0 is /dev/null, 1 and 2 the caller's own
                    unless named; nothing else stays open
    """

    __slots__ = (
        "ambient", "argv", "bounding", "cpus", "cwd", "env", "fds", "gid", "groups", "ident", "io_priority", "nice",
        "no_new_privs", "oom_score_adj", "own_pid", "rlimits", "scheduler", "uid", "umask", "v1", "v2",
    )  # fmt: skip

    def __init__(  # noqa: PLR0913 - one argument a property
        self,
        *,
        ident: int,
        argv: list[str],
        env: dict[str, str],
        cwd: str = "/",
        v2: str | None = None,
        v1: Sequence[str] = (),
        umask: int | None = None,
        nice: int | None = None,
        rlimits: Sequence[tuple[int, int, int]] = (),
        uid: int | None = None,
        gid: int | None = None,
        groups: list[int] | None = None,
        oom_score_adj: int | None = None,
        scheduler: tuple[int, int] | None = None,
        io_priority: int | None = None,
        cpus: Sequence[tuple[int, int]] | None = None,
        bounding: int | None = None,
        ambient: int | None = None,
        no_new_privs: bool = False,
        own_pid: Sequence[str] = (),
        fds: dict[int, int] | None = None,
    ) -> None:
        self.ident, self.argv, self.env, self.cwd = ident, argv, env, cwd
        self.v2, self.v1 = v2, v1
        self.umask, self.nice, self.rlimits, self.oom_score_adj = umask, nice, rlimits, oom_score_adj
        self.scheduler, self.io_priority, self.cpus = scheduler, io_priority, cpus
        self.uid, self.gid, self.groups = uid, gid, groups
        self.bounding, self.ambient, self.no_new_privs = bounding, ambient, no_new_privs
        self.own_pid = own_pid
        self.fds = fds or {}


class Started(NamedTuple):
    """The process exists: a child of the caller, who reaps it."""

    ident: int
    pid: int


class Running(NamedTuple):
    """Its exec succeeded, or it died before without saying why; the exit status tells."""

    ident: int


class Failed(NamedTuple):
    """It won't run. With a pid, the child leaves by itself with status 127 and is to be reaped."""

    ident: int
    stage: str  # one of STAGES
    errno: int
    pid: int | None


class Gone(NamedTuple):
    """The launcher died. `idents`: no Started was seen, a child may exist. `unsettled`: started, exec not known."""

    idents: list[int]
    unsettled: list[int]


Answer = Started | Running | Failed | Gone


def strings(request: SpawnRequest) -> tuple[list[bytes], list[bytes]]:
    """argv and `KEY=value` lines as the kernel takes them; raises ValueError for what it can't take."""
    if not request.argv:
        raise ValueError("cannot spawn a process without argv; give at least the name of the program")
    if any(not key or "=" in key for key in (*request.env, *request.own_pid)):
        raise ValueError(f"cannot spawn {request.argv[0]!r}: the name of a variable is empty or has a '='; rename it")
    argv = [os.fsencode(arg) for arg in request.argv]
    variables = {**request.env, **dict.fromkeys(request.own_pid, _ROOM_FOR_A_PID)}
    env = [os.fsencode(f"{key}={value}") for key, value in variables.items()]
    if any(b"\0" in text for text in (*argv, *env)):
        raise ValueError(f"cannot spawn {request.argv[0]!r}: a NUL byte in its arguments or environment; remove it")
    return argv, env


def encode(request: SpawnRequest) -> tuple[bytes, bytes]:
    """Header and body. The body goes with the header when it is at most INLINE_MAX long, else in a memfd.

    Raises ValueError for a request that can't be written: a NUL in a string, too many descriptors, too large.
    """
    argv, env = strings(request)
    fields = [_field(_ARGV, _joined(argv)), _field(_ENV, _joined(env)), _field(_CWD, _path(request.cwd))]
    if request.v2 is not None:
        fields.append(_field(_V2, _path(request.v2)))
    if request.v1:
        fields.append(_field(_V1, b"".join(map(_path, request.v1))))
    for tag, form, value in (
        (_UMASK, "=i", request.umask),
        (_NICE, "=i", request.nice),
        (_OOM_SCORE_ADJ, "=i", request.oom_score_adj),
        (_UID, "=I", request.uid),
        (_GID, "=I", request.gid),
        (_IO_PRIORITY, "=i", request.io_priority),
        (_BOUNDING, "=Q", request.bounding),
        (_AMBIENT, "=Q", request.ambient),
    ):
        if value is not None:
            fields.append(_field(tag, _pack(form, value)))
    fields += _granted(request)
    if request.rlimits:
        fields.append(_field(_RLIMITS, b"".join(_pack("=qqq", *limit) for limit in request.rlimits)))
    if request.groups is not None:
        fields.append(_field(_GROUPS, b"".join(_pack("=I", gid) for gid in request.groups)))
    if request.fds:
        if len(request.fds) > FDS_MAX or not all(0 <= target <= TARGET_MAX for target in request.fds):
            raise ValueError(f"cannot pass these descriptors: at most {FDS_MAX}, each from 0 to {TARGET_MAX}")
        fields.append(_field(_FDS, b"".join(_pack("=i", target) for target in request.fds)))
    body = b"".join(fields)
    if len(body) > BODY_MAX:
        raise ValueError(f"cannot spawn {request.argv[0]!r}: {len(body)} bytes of arguments; at most {BODY_MAX} travel")
    flags = _BODY_IN_MEMFD if len(body) > INLINE_MAX else 0
    return _HEADER.pack(_VERSION, flags, 0, len(body), request.ident), body


def _granted(request: SpawnRequest) -> Iterator[bytes]:
    """What few workers have."""
    if request.scheduler is not None:
        yield _field(_SCHEDULER, _pack("=2i", *request.scheduler))
    if request.cpus is not None:
        yield _field(_CPUS, _mask(request.cpus))
    if request.no_new_privs:
        yield _field(_NO_NEW_PRIVS, b"")
    if request.own_pid:
        yield _field(_OWN_PID, _joined(map(os.fsencode, request.own_pid)))


def decode(data: bytes) -> Started | Running | Failed:
    """One answer record of ANSWER_SIZE bytes."""
    _, kind, stage, _, pid, number, _, ident = _ANSWER.unpack(data)
    if kind == _STARTED:
        return Started(ident, pid)
    if kind == _RUNNING:
        return Running(ident)
    return Failed(ident, STAGES[stage], number, pid or None)


def _pack(form: str, *values: int) -> bytes:
    try:
        return struct.pack(form, *values)
    except struct.error as cause:
        raise ValueError(f"cannot spawn with the value {values}: {cause}") from cause


def _mask(cpus: Sequence[tuple[int, int]]) -> bytes:
    """The kernel's: words of 64 CPUs."""
    if not cpus or not all(0 <= first <= last <= CPU_MAX for first, last in cpus):
        raise ValueError(f"cannot pin to the CPUs {cpus}: at least one range, each within 0 and {CPU_MAX}")
    mask = 0
    for first, last in cpus:
        mask |= (1 << last + 1) - (1 << first)
    words = range(mask.bit_length() + 63 >> 6)
    return struct.pack(f"={len(words)}Q", *(mask >> 64 * word & 0xFFFF_FFFF_FFFF_FFFF for word in words))


def _field(tag: int, value: bytes) -> bytes:
    return _FIELD.pack(tag, len(value)) + value + bytes(-len(value) % 8)


def _joined(texts: Iterable[bytes]) -> bytes:
    return b"".join(text + b"\0" for text in texts)


def _path(path: str) -> bytes:
    text = os.fsencode(path)
    if not text or b"\0" in text:
        raise ValueError(f"cannot use the path {path!r}: empty, or a NUL byte in it")
    return text + b"\0"
