"""systemd's two protocols, a few lines each: readiness (sd_notify) and passed sockets (sd_listen_fds).

Both are environment variables that systemd sets for its direct child; others must not inherit them, so
they are read once and taken out.
"""

from __future__ import annotations

import logging
import os
import socket
import time
from collections.abc import MutableMapping

logger = logging.getLogger(__name__)

FIRST_PASSED_FD = 3


class Notifier:
    """Tells the service manager, where there is one (sd_notify(3))."""

    def __init__(self, address: str | None) -> None:
        self.address = address

    def __repr__(self) -> str:
        return f"<Notifier {self.address}>"

    def ready(self, status: str) -> None:
        """It serves; or, after a reload, serves as the new configuration says."""
        self._tell(f"READY=1\nMAINPID={os.getpid()}\nSTATUS={status}")

    def reloading(self) -> None:
        """A reload, or an upgrade, has begun; `ready` ends it."""
        self._tell(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self) -> None:
        """The end has begun."""
        self._tell("STOPPING=1")

    def _tell(self, text: str) -> None:
        if not self.address:
            return
        address = "\0" + self.address[1:] if self.address.startswith("@") else self.address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
                sock.connect(address)
                sock.send(text.encode())
        except OSError as error:
            logger.warning("notify_failed address=%s error=%s", self.address, error)


def take_notifier(environ: MutableMapping[str, str]) -> Notifier:
    """The service manager that the environment names, which is taken out of it."""
    return Notifier(environ.pop("NOTIFY_SOCKET", None))


def take_passed_sockets(environ: MutableMapping[str, str]) -> list[socket.socket]:
    """The listening sockets that the service manager opened for us; the variables are taken out."""
    pid, count = environ.pop("LISTEN_PID", ""), environ.pop("LISTEN_FDS", "")
    environ.pop("LISTEN_FDNAMES", None)
    if pid != str(os.getpid()) or not count.isdigit():
        return []
    found = [socket.socket(fileno=fd) for fd in range(FIRST_PASSED_FD, FIRST_PASSED_FD + int(count))]
    for sock in found:
        sock.set_inheritable(False)
    return found
