"""One descriptor to poll for a launcher: its own descriptors, nested, and answers that were made up on this side."""

import os
import select

from circus_cg.keeper.request import Answer


class Inbox:
    def __init__(self) -> None:
        self._epoll = select.epoll()  # close-on-exec, as all that follows
        self._bell = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._epoll.register(self._bell, select.EPOLLIN)
        self._waiting: list[Answer] = []

    def fileno(self) -> int:
        return self._epoll.fileno()

    def put(self, answer: Answer) -> None:
        if not self._waiting:
            os.eventfd_write(self._bell, 1)
        self._waiting.append(answer)

    def take(self) -> list[Answer]:
        if not self._waiting:
            return []
        os.eventfd_read(self._bell)
        taken, self._waiting = self._waiting, []
        return taken

    def watch(self, fd: int, events: int = select.EPOLLIN) -> None:
        self._epoll.register(fd, events)

    def rewatch(self, fd: int, events: int) -> None:
        self._epoll.modify(fd, events)

    def forget(self, fd: int) -> None:
        self._epoll.unregister(fd)

    def ready(self) -> list[int]:
        """The watched descriptors with something to say now."""
        return [fd for fd, _ in self._epoll.poll(0) if fd != self._bell]

    def close(self) -> None:
        self._epoll.close()
        os.close(self._bell)
