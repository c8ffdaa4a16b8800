"""The same work in Python, for where no launcher was built: a fork of the caller, which must have no other thread."""

import errno
import fcntl
import itertools
import os
import resource
import signal
import struct

from circus_cg.keeper import privileges
from circus_cg.keeper.inbox import Inbox
from circus_cg.keeper.request import STAGES, Answer, Failed, Running, SpawnRequest, Started, strings

_VERDICT = struct.Struct("=ii")  # stage, errno: what a child writes to its error pipe; exec closes it without a word
_DIED_BEFORE_EXEC = 127
_DEFAULT_PATH = b"/bin:/usr/bin"
_LOOK_FURTHER = (errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG, errno.ESTALE, errno.ENODEV, errno.ETIMEDOUT)

STDIN, STDOUT, STDERR = 0, 1, 2


class ForkLauncher:
    """Answers as NativeLauncher does; `submit` takes as long as a fork of the caller. It never dies on its own."""

    pid: int | None = None

    def __init__(self) -> None:
        self._inbox = Inbox()
        self._in_setup: dict[int, tuple[int, int]] = {}  # error pipe -> (ident, pid)

    def fileno(self) -> int:
        return self._inbox.fileno()

    def submit(self, request: SpawnRequest) -> None:
        """Raises ValueError for a request that can't be carried out; all other trouble is an answer."""
        argv, env = strings(request)
        try:
            reader, writer = os.pipe2(os.O_CLOEXEC)
        except OSError as cause:
            self._inbox.put(Failed(request.ident, "clone", cause.errno or errno.EIO, None))
            return
        # A signal that came before the child has dropped our handlers would ring the caller's wake-up descriptor.
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        try:
            pid = os.fork()
            if pid == 0:
                _become_worker(request, argv, env, writer)
            self._inbox.put(Started(request.ident, pid))
            self._inbox.watch(reader)
            self._in_setup[reader] = request.ident, pid
        except OSError as cause:
            os.close(reader)
            self._inbox.put(Failed(request.ident, "clone", cause.errno or errno.EIO, None))
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
            os.close(writer)

    def receive(self) -> list[Answer]:
        answers = self._inbox.take()
        for reader in self._inbox.ready():
            ident, pid = self._in_setup.pop(reader)
            verdict = os.read(reader, _VERDICT.size)
            self._inbox.forget(reader)
            os.close(reader)
            if len(verdict) == _VERDICT.size:
                stage, error = _VERDICT.unpack(verdict)
                answers.append(Failed(ident, STAGES[stage], error, pid))
            else:
                answers.append(Running(ident))
        return answers

    def restart(self) -> None:
        """There is nothing to start."""

    def close(self) -> None:
        for reader in self._in_setup:
            os.close(reader)
        self._in_setup.clear()
        self._inbox.close()


class _Child:
    """The set-up, step by step, in the order of launcher.c; `stage` is where it stands."""

    def __init__(self, request: SpawnRequest, argv: list[bytes], env: list[bytes], report: int) -> None:
        self.request, self.argv, self.env, self.report = request, argv, env, report
        self.stage = "request"

    def run(self) -> None:
        """Returns never, or raises what went wrong."""
        request = self.request
        os.setsid()
        _default_signals()
        self.stage = "fds"
        self.report = _place_fds(request.fds, self.report)
        self.stage = "join"
        if request.v2 is not None:
            _write(f"{request.v2}/cgroup.procs", "0")
        for directory in request.v1:
            _write(f"{directory}/tasks", "0")
        self.stage = "oom_score_adj"
        if request.oom_score_adj is not None:
            _write("/proc/self/oom_score_adj", str(request.oom_score_adj))
        self.stage = "nice"
        if request.nice is not None:
            os.setpriority(os.PRIO_PROCESS, 0, request.nice)
        self._schedule()
        self.stage = "chdir"
        if request.umask is not None:
            os.umask(request.umask)
        os.chdir(request.cwd)
        self.stage = "rlimit"
        for which, soft, hard in request.rlimits:
            resource.setrlimit(which, (soft, hard))
        self.stage = "bounding"
        if request.bounding is not None:
            privileges.bound_capabilities(request.bounding)
        self.stage = "ids"
        if request.ambient:
            privileges.keep_capabilities()
        _drop_ids(request)
        self.stage = "capabilities"
        if request.ambient is not None or request.uid:
            privileges.set_capabilities(request.ambient or 0)
        elif request.bounding is not None:
            privileges.bound_inheritable(request.bounding)
        self.stage = "no_new_privs"
        if request.no_new_privs:
            privileges.forbid_new_privileges()
        self.stage = "exec"
        own = {os.fsencode(name): str(os.getpid()).encode() for name in request.own_pid}
        _execute(self.argv, self.env, own)

    def _schedule(self) -> None:
        request = self.request
        self.stage = "scheduler"
        if request.scheduler is not None:
            policy, priority = request.scheduler
            os.sched_setscheduler(0, policy, os.sched_param(priority))
        self.stage = "io_priority"
        if request.io_priority is not None:
            privileges.set_io_priority(request.io_priority)
        self.stage = "affinity"
        if request.cpus is not None:
            os.sched_setaffinity(0, {cpu for first, last in request.cpus for cpu in range(first, last + 1)})


def _become_worker(request: SpawnRequest, argv: list[bytes], env: list[bytes], report: int) -> None:
    """Never returns, whatever happens: the caller's code must not go on in the child."""
    child = _Child(request, argv, env, report)
    error = errno.EIO
    try:
        child.run()
    except OSError as cause:
        error = cause.errno or errno.EIO
    except MemoryError:
        error = errno.ENOMEM  # the worker's own limit is too small for this interpreter
    except (ValueError, OverflowError):
        error = errno.EINVAL
    finally:
        try:
            os.write(child.report, _VERDICT.pack(STAGES.index(child.stage), error))
        finally:
            os._exit(_DIED_BEFORE_EXEC)


def _default_signals() -> None:
    signal.set_wakeup_fd(-1)
    for signum in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
        if signal.getsignal(signum) is not signal.SIG_DFL:
            signal.signal(signum, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def _place_fds(fds: dict[int, int], report: int) -> int:
    """Put each descriptor in its place and close the rest; returns where the error pipe went."""
    above = max((STDERR, *fds)) + 1
    report = fcntl.fcntl(report, fcntl.F_DUPFD_CLOEXEC, above)
    moved = {target: fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, above) for target, fd in fds.items()}
    for target, fd in moved.items():
        os.dup2(fd, target)
    if STDIN not in fds:
        os.dup2(os.open(os.devnull, os.O_RDWR), STDIN)
        os.set_inheritable(STDIN, True)  # when the open itself gave 0
    kept = sorted({STDIN, STDOUT, STDERR, *fds, report, os.sysconf("SC_OPEN_MAX")})
    for low, high in itertools.pairwise(kept):
        os.closerange(low + 1, high)
    return report


def _write(path: str, text: str) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(fd, text.encode())
    finally:
        os.close(fd)


def _drop_ids(request: SpawnRequest) -> None:
    uid, gid = request.uid, request.gid
    if request.groups is not None:
        os.setgroups(request.groups)
    if gid is not None:
        os.setresgid(gid, gid, gid)
    if uid is None:
        return
    os.setresuid(uid, uid, uid)
    if os.getresuid() != (uid, uid, uid) or (uid != 0 and _root_again()):
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))


def _root_again() -> bool:
    """A way back to root is a privilege not dropped."""
    try:
        os.setuid(0)
    except PermissionError:
        return False
    return True


def _execute(argv: list[bytes], env: list[bytes], own: dict[bytes, bytes]) -> None:
    """Look argv[0] up in the worker's own PATH; always raises OSError. An empty element is the working directory."""
    variables = dict(line.split(b"=", 1) for line in env) | own
    name, denied = argv[0], 0
    if not name or b"/" in name:
        os.execve(name, argv, variables)
    for directory in variables.get(b"PATH", _DEFAULT_PATH).split(b":"):
        try:
            os.execve(directory + b"/" + name if directory else name, argv, variables)
        except OSError as cause:
            if cause.errno == errno.EACCES:
                denied = errno.EACCES
            elif cause.errno not in _LOOK_FURTHER:
                raise
    raise OSError(denied or errno.ENOENT, os.strerror(denied or errno.ENOENT))
