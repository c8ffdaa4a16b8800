"""One exception tree. Each class has a stable wire code and says who must act."""

EXIT_STATUSES = {
    0: "done",
    1: "failed or refused",
    2: "bad configuration or usage",
    3: "the host lacks something",
    4: "already running",
    5: "not running",
    6: "no answer in time",
}  # of every verb; they stay what they are


class CircusCgError(Exception):
    """Base of all our errors. Messages read: cannot `do` `thing`: `cause`; `what to do about it`."""

    code = "error"
    exit_status = 1


class ConfigError(CircusCgError):
    """The operator's text is wrong. `problems` are lines of the form `file:line: what, and what was expected`."""

    code = "config"
    exit_status = 2

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class HostError(CircusCgError):
    """This host lacks what the configuration asks for; the message names the remedy."""

    code = "host"
    exit_status = 3


class CgroupError(CircusCgError):
    """A cgroup file or directory refused us."""

    code = "cgroup"

    def __init__(self, did: str, path: str, cause: OSError) -> None:
        super().__init__(f"cannot {did} {path}: {cause.strerror}")
        self.path = path
        self.errno = cause.errno


class AlreadyRunning(CircusCgError):
    """Another daemon of the same name holds the lock: stop it, or choose another name."""

    code = "already-running"
    exit_status = 4


class NotRunning(CircusCgError):
    """No daemon of that name answers, or a library's workers were not started or were stopped: start it, or them."""

    code = "not-running"
    exit_status = 5


class TimedOut(CircusCgError):
    """The daemon did not answer in time: ask again, or look what holds it up."""

    code = "timeout"
    exit_status = 6


class CommandRefused(CircusCgError):
    """The daemon understood the command and refuses it: as the message says."""

    code = "refused"


class StartFailed(CircusCgError):
    """The workers of a library's caller could not be started; none of them is left."""

    code = "start-failed"


class Lost(CircusCgError):
    """Somebody killed the keeper of a library's workers; they were killed with it."""

    code = "lost"
