"""Listening sockets, opened while errors can still be told to who starts the daemon."""

from __future__ import annotations

import fcntl
import os
import socket

from circus_cg.errors import HostError

BACKLOG = 128
LOWEST = 10  # of the descriptors that go through exec: 0 to 3 have a meaning at the other end


def listen(endpoint: str) -> int:
    """A descriptor that listens on tcp://ADDRESS:PORT; `*` is all of IPv4, [::] all of both. Raises HostError."""
    address, _, port = endpoint.removeprefix("tcp://").rpartition(":")
    host = address.strip("[]")
    six = "[" in address
    try:
        with socket.socket(socket.AF_INET6 if six else socket.AF_INET, socket.SOCK_STREAM) as made:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if six:
                made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, host != "::")
            made.bind((host if host != "*" else "0.0.0.0", int(port)))
            made.listen(BACKLOG)
            return fcntl.fcntl(made.fileno(), fcntl.F_DUPFD_CLOEXEC, LOWEST)
    except OSError as failed:
        raise HostError(
            f"cannot listen on {endpoint}: {os.strerror(failed.errno or 0)}; choose another one in control.tcp"
        ) from failed
