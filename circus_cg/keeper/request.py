"""What a launcher is asked and what it answers, and how both look on the native launcher's socket.

launcher.c reads and writes the same bytes: a request is a header and fields of (tag, length, value), each value padded
to 8 bytes, numbers in the machine's own order; strings end in NUL. An answer is one fixed record.
"""

import os
import struct
from collections.abc import Iterable, Sequence
from typing import NamedTuple

INLINE_MAX = 65536  # bytes of body in a packet; a larger body is passed in a memfd
BODY_MAX = 16 << 20
FDS_MAX = 249  # the launcher takes 250, one may be the memfd
TARGET_MAX = 65535

# Where a spawn failed; the position is the number on the wire. "launcher": there is none and none can be started.
STAGES = ("request", "clone", "fds", "join", "oom_score_adj", "nice", "chdir", "rlimit", "ids", "exec", "launcher")

_VERSION, _BODY_IN_MEMFD = 1, 1
_HEADER = struct.Struct("=BBHIQ")  # version, flags, 0, body length, ident
_FIELD = struct.Struct("=II")  # tag, length
_ANSWER = struct.Struct("=BBBBiiIQ")  # version, kind, stage, 0, pid, errno, 0, ident
_ARGV, _ENV, _CWD, _V2, _V1, _UMASK, _NICE, _RLIMITS, _UID, _GID, _GROUPS, _OOM_SCORE_ADJ, _FDS = range(1, 14)
_STARTED, _RUNNING = 1, 2

ANSWER_SIZE = _ANSWER.size


class SpawnRequest:
    """One process to make. None leaves that property as the launcher has it (its user, mask, priority, ...).

    ident           chosen by the caller, unique among those in flight (0 to 2**64 - 1)
    argv, env       argv[0] is looked up in the PATH of `env`; no shell steps in
    v2, v1          absolute cgroup directories: the one the process is born in, those it joins before its exec
    rlimits         (RLIMIT number, soft, hard), -1 for infinity
    uid, gid, groups  numbers; they are dropped for good or the spawn fails
    fds             descriptor of the worker -> descriptor of the caller. 0 is /dev/null, 1 and 2 the caller's own
                    unless named; nothing else stays open
    """

    __slots__ = (
        "argv", "cwd", "env", "fds", "gid", "groups", "ident", "nice", "oom_score_adj", "rlimits", "uid", "umask", "v1",
        "v2",
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
        fds: dict[int, int] | None = None,
    ) -> None:
        self.ident, self.argv, self.env, self.cwd = ident, argv, env, cwd
        self.v2, self.v1 = v2, v1
        self.umask, self.nice, self.rlimits, self.oom_score_adj = umask, nice, rlimits, oom_score_adj
        self.uid, self.gid, self.groups = uid, gid, groups
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
    if any(not key or "=" in key for key in request.env):
        raise ValueError(f"cannot spawn {request.argv[0]!r}: the name of a variable is empty or has a '='; rename it")
    argv = [os.fsencode(arg) for arg in request.argv]
    env = [os.fsencode(f"{key}={value}") for key, value in request.env.items()]
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
    ):
        if value is not None:
            fields.append(_field(tag, _pack(form, value)))
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


def decode(data: bytes) -> Started | Running | Failed:
    """One answer record of ANSWER_SIZE bytes."""
    _, kind, stage, _, pid, errno, _, ident = _ANSWER.unpack(data)
    if kind == _STARTED:
        return Started(ident, pid)
    if kind == _RUNNING:
        return Running(ident)
    return Failed(ident, STAGES[stage], errno, pid or None)


def _pack(form: str, *values: int) -> bytes:
    try:
        return struct.pack(form, *values)
    except struct.error as cause:
        raise ValueError(f"cannot spawn with the value {values}: {cause}") from cause


def _field(tag: int, value: bytes) -> bytes:
    return _FIELD.pack(tag, len(value)) + value + bytes(-len(value) % 8)


def _joined(texts: Iterable[bytes]) -> bytes:
    return b"".join(text + b"\0" for text in texts)


def _path(path: str) -> bytes:
    text = os.fsencode(path)
    if not text or b"\0" in text:
        raise ValueError(f"cannot use the path {path!r}: empty, or a NUL byte in it")
    return text + b"\0"
