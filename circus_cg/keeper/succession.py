"""How one image of the keeper becomes the next: the state in a memfd, execve, and the way back if the next can't begin.

The state is JSON; a field that a version doesn't know is ignored. In it:

version, wire   of the image that wrote it
boot            the record that the next image goes by; its `image` is the next image
previous        the record of the image that wrote it, to which all can return
ledger, spawning, note, stopping, ready, notify, signals      see the modules they come from
hearing         as in hearing.py, with all its descriptors
asker           the descriptor of whoever waits to hear of it, or null
"""

import json
import os
import signal
from collections.abc import Iterable
from typing import NoReturn

from circus_cg.keeper.ledger import Ledger
from circus_cg.keeper.messages import VERSION, Message
from circus_cg.keeper.wire import memfd

STATE_VERSION = 1
START_LIMIT = 20  # seconds that the next image has to rebuild everything
HELD_BACK = {signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD}  # until a keeper can hear them

# Run by the next interpreter, but written by this image: however broken the next one is, it goes back to this one.
RESUME = """\
import os, signal, sys
image, state, *back = sys.argv[1:]
class Late(BaseException):
    pass
def late(*_):
    raise Late("its start took too long")
try:
    signal.signal(signal.SIGALRM, late)
    signal.alarm(START_LIMIT)
    sys.path.insert(0, image)
    from circus_cg.keeper.main import resume
    keeper = resume(int(state))
except BaseException as failed:
    signal.pthread_sigmask(signal.SIG_BLOCK, HELD_BACK)
    signal.alarm(0)
    os.execv(back[0], [*back, f"{type(failed).__name__}: {failed}"])
signal.signal(signal.SIGALRM, signal.SIG_DFL)
sys.exit(keeper.run())
"""
RETURN = """\
import sys
sys.path.insert(0, sys.argv[1])
from circus_cg.keeper.main import resume
sys.exit(resume(int(sys.argv[2]), sys.argv[3]).run())
"""
REHEARSE = """\
import sys
sys.path.insert(0, sys.argv[1])
from circus_cg.keeper.main import rehearse
rehearse(int(sys.argv[2]))
"""


def held_fds(boot: Message) -> list[int]:
    """Descriptors that a boot record speaks of."""
    image = boot.get("image", {})
    more = [image.get("fd"), image.get("launcher"), boot.get("control", {}).get("fd")]
    return sorted({*boot["pass_fds"], *boot["keep_fds"], *(fd for fd in more if fd is not None)})


def kept_fds(state: Message) -> set[int]:
    """What must go through exec."""
    asker = set() if state["asker"] is None else {state["asker"]}
    heard = state.get("hearing", {}).get("fds", [])
    return {*held_fds(state["boot"]), *held_fds(state["previous"]), *asker, *heard}


def write(name: str, state: Message) -> int:
    """A descriptor of the state, above the standard ones."""
    return memfd(name, json.dumps(state).encode())


def read(fd: int) -> Message:
    """Raises ValueError, KeyError, TypeError for what this version can't go on with."""
    state: Message = json.loads(os.pread(fd, os.fstat(fd).st_size, 0))
    if abs(state["wire"] - VERSION) > 1:
        raise ValueError(f"it speaks version {state['wire']} with its arbiter, and we {VERSION}: more than one step")
    return state


def rehearsal(fd: int) -> str:
    """What the next image says of a copy of the state, in a process of its own. Raises as `read`."""
    state = read(fd)
    ledger = Ledger.load(state["ledger"])
    return f"understood {len(ledger.all())}"


def execute(state: Message, kept: Iterable[int]) -> NoReturn:
    """Become the next image. Signals are held back from here on; raises OSError when it can't be run at all."""
    fd = write("circus-cg-state", state)
    for one in (fd, *kept):
        os.set_inheritable(one, True)
    old, new = state["previous"]["image"], state["boot"]["image"]
    back = [old["python"], "-I", "-S", "-c", RETURN, _path(old), str(fd)]
    text = RESUME.replace("START_LIMIT", str(START_LIMIT)).replace("HELD_BACK", str([int(s) for s in HELD_BACK]))
    argv = [new["python"], "-I", "-S", "-c", text, _path(new), str(fd), *back]
    try:
        os.execve(new["python"], argv, dict(os.environ))
    except OSError:
        close_on_exec(kept)
        os.close(fd)
        raise


def close_on_exec(fds: Iterable[int]) -> None:
    for fd in fds:
        os.set_inheritable(fd, False)


def rehearsal_command(image: Message, image_at: int, state_at: int) -> list[str]:
    return [image["python"], "-I", "-S", "-c", REHEARSE, f"/proc/self/fd/{image_at}", str(state_at)]


def _path(image: Message) -> str:
    return f"/proc/self/fd/{image['fd']}"
