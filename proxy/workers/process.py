"""A worker's process: a fresh interpreter with the descriptors that it is given.

Fresh, since a fork of a running event loop would share its epoll set, threads and locks. The interpreter's
own options (`-X dev`, `-W error`) are passed on. The end of a process is seen by its pidfd, which works for
children of the program that we were before an upgrade as well.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence

_DEFAULT_AGAIN = (signal.SIGPIPE, signal.SIGXFSZ)
"""Ignored by this interpreter, and so they would be by the next."""


class ChildProcess:
    """A child. `ended` is done, with its exit status, when it has ended and was waited for."""

    def __init__(self, pid: int) -> None:
        """`pid` is a child of this process, running or not."""
        self.pid = pid
        self._fd = os.pidfd_open(pid)
        self._loop = asyncio.get_running_loop()
        self.ended: asyncio.Future[int] = self._loop.create_future()
        self._loop.add_reader(self._fd, self._reap)

    def __repr__(self) -> str:
        return f"<ChildProcess {self.pid} ended={self.ended.done()}>"

    def _reap(self) -> None:
        self._loop.remove_reader(self._fd)
        os.close(self._fd)
        _, status = os.waitpid(self.pid, 0)
        self.ended.set_result(os.waitstatus_to_exitcode(status))

    def send(self, number: signal.Signals) -> None:
        """Send it a signal, if it runs."""
        if not self.ended.done():
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._fd, number)


def start_python(module: str, arguments: Sequence[str], fds: Sequence[int]) -> ChildProcess:
    """Start `python -m module` with these descriptors, under the same numbers."""
    command = [sys.executable, *interpreter_options(), "-m", module, *arguments]
    actions = [(os.POSIX_SPAWN_DUP2, fd, fd) for fd in fds]  # onto itself: it is inherited
    return ChildProcess(
        os.posix_spawn(
            sys.executable, command, os.environ, file_actions=actions, setsigmask=(), setsigdef=_DEFAULT_AGAIN
        )
    )


def interpreter_options() -> list[str]:
    """The options with which this interpreter was started."""
    found: list[str] = subprocess._args_from_interpreter_flags()  # type: ignore[attr-defined]  # as multiprocessing does
    return found


def control_pair() -> tuple[socket.socket, socket.socket]:
    """Two ends of a control channel."""
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
