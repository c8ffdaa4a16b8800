"""The keeper's own last resort over cgroups: look into a group, kill it, remove it. Nothing of policy."""

import os
import signal
from contextlib import suppress

# Gone; or another user's (a worker that has become root under a user's daemon). Neither keeps the others from theirs.
UNKILLABLE = (ProcessLookupError, PermissionError)


def members(request: dict[str, object]) -> list[int]:
    """The pids in the groups of one life (the unified group if there is one, else the first v1 group)."""
    for directory in _directories(request):
        try:
            with open(f"{directory}/cgroup.procs") as procs:
                # A member of a foreign pid namespace is listed as 0, which to kill() means our own process group.
                return [int(pid) for pid in procs.read().split() if pid != "0"]
        except OSError:
            continue
    return []


def child_in(request: dict[str, object]) -> int | None:
    """Our own child in the groups of one life, if the launcher died after making it."""
    me = os.getpid()
    return next((pid for pid in members(request) if _parent(pid) == me), None)


def has_any(request: dict[str, object]) -> bool:
    """False in a daemon that can make no groups."""
    return bool(_directories(request))


def populated(request: dict[str, object]) -> bool:
    unified = request.get("v2")
    if isinstance(unified, str):
        try:
            with open(f"{unified}/cgroup.events") as events:
                return "populated 1" in events.read()
        except OSError:
            return False
    return bool(members(request))


def kill(request: dict[str, object]) -> None:
    """One round; the caller repeats it while `populated`."""
    unified = request.get("v2")
    if isinstance(unified, str):
        try:
            with open(f"{unified}/cgroup.kill", "w") as file:
                file.write("1")
            return
        except OSError:
            pass  # before Linux 5.14 there is no cgroup.kill
    thaw(request)  # a v1 freezer holds even SIGKILL up
    for pid in members(request):
        with suppress(*UNKILLABLE):
            os.kill(pid, signal.SIGKILL)


def thaw(request: dict[str, object]) -> None:
    """Whoever is asked to leave must be able to hear it."""
    for directory in _directories(request):
        for file, word in (("cgroup.freeze", "0"), ("freezer.state", "THAWED")):
            try:
                with open(f"{directory}/{file}", "w") as freezer:
                    freezer.write(word)
            except OSError:
                continue  # it is in no such hierarchy, or gone


def remove(request: dict[str, object]) -> None:
    for directory in _directories(request):
        try:
            os.rmdir(directory)
        except OSError:
            continue  # the next start clears what is left


def leave(places: list[dict[str, str]]) -> None:
    """Move this process out of its own leaf and remove what the daemon made.

    A place: {"procs": file to move into, "daemon": our leaf, "tree": the arbiter's group, "top": the one above}.
    Nothing is done where we have made nothing, and we move only from a leaf that is ours.
    """
    for place in places:
        if not os.path.isdir(place["tree"]):
            continue
        try:
            if os.path.isdir(place["daemon"]):
                with open(place["procs"], "w") as procs:
                    procs.write("0")
        except OSError:
            pass  # a delegated v2 root takes no members; its owner removes the rest
        # All of it: an arbiter that died made groups for lives that we were never asked for, or owed their removal.
        below = [directory for directory, _, _ in os.walk(place["tree"], topdown=False)]
        for directory in [*below, place["top"]]:
            try:
                os.rmdir(directory)
            except OSError:
                continue  # in use, or somebody else's


def _directories(request: dict[str, object]) -> list[str]:
    unified, v1 = request.get("v2"), request.get("v1")
    first = [unified] if isinstance(unified, str) else []
    return first + (list(v1) if isinstance(v1, list) else [])


def _parent(pid: int) -> int:
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return int(stat.read().rpartition(")")[2].split()[1])
    except OSError:
        return 0
