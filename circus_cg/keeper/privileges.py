"""The system calls of a worker's set-up that Python's library lacks: IO priority, capabilities, no_new_privs."""

import ctypes
import errno
import os
import sys

_PR_SET_KEEPCAPS, _PR_CAPBSET_READ, _PR_CAPBSET_DROP, _PR_SET_NO_NEW_PRIVS = 8, 23, 24, 38
_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE = 47, 2
_CAPABILITY_VERSION_3 = 0x20080522
_CAPABILITIES = 64  # what two words of the kernel's sets hold
_WORD = 0xFFFF_FFFF
_A_PROCESS = 1  # of ioprio_set

# No libc wraps it. Machines that aren't here can't set an IO priority without the native launcher.
_IOPRIO_SET = {"x86_64": 251, "aarch64": 30, "riscv64": 30, "loongarch64": 30, "ppc64le": 273, "s390x": 282}

_libc = ctypes.CDLL(None, use_errno=True)
_libc.prctl.argtypes = [ctypes.c_int, *[ctypes.c_ulong] * 4]
_Head, _Sets = ctypes.c_uint32 * 2, ctypes.c_uint32 * 6  # (version, pid); (effective, permitted, inheritable) twice


def set_io_priority(priority: int) -> None:
    number = _IOPRIO_SET.get(os.uname().machine) if sys.maxsize > _WORD else None
    if number is None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
    _check(_libc.syscall(number, _A_PROCESS, 0, priority))


def bound_capabilities(mask: int) -> None:
    """Before the ids go, for it takes CAP_SETPCAP. The kernel refuses numbers after the last that it knows."""
    for capability in range(_CAPABILITIES):
        there = _libc.prctl(_PR_CAPBSET_READ, capability, 0, 0, 0)
        if there < 0:
            return
        if there and not mask >> capability & 1:
            _prctl(_PR_CAPBSET_DROP, capability)


def keep_capabilities() -> None:
    """Across the change of the ids; exec ends it."""
    _prctl(_PR_SET_KEEPCAPS, 1)


def set_capabilities(ambient: int) -> None:
    """These and no other: not even inheritable ones, which a file's capabilities could wake."""
    sets = _Sets(*[ambient & _WORD] * 3, *[ambient >> 32] * 3)
    _check(_libc.capset(_Head(_CAPABILITY_VERSION_3, 0), sets))
    for capability in range(_CAPABILITIES):
        if ambient >> capability & 1:
            _prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE, capability)


def bound_inheritable(mask: int) -> None:
    """A root worker would have after its exec what it could inherit, even beyond its bounding set."""
    head, sets = _Head(_CAPABILITY_VERSION_3, 0), _Sets()
    _check(_libc.capget(head, sets))
    sets[2] &= mask & _WORD
    sets[5] &= mask >> 32
    _check(_libc.capset(head, sets))


def forbid_new_privileges() -> None:
    _prctl(_PR_SET_NO_NEW_PRIVS, 1)


def _prctl(option: int, first: int, second: int = 0) -> None:
    _check(_libc.prctl(option, first, second, 0, 0))


def _check(result: int) -> None:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
