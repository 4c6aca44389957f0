"""An address bound for listening, and the socket file that is left behind if nobody removes it."""

from __future__ import annotations

import errno
import os
import socket
import stat
from pathlib import Path

from proxy.errors import ConfigError


class Binding:
    """A bound socket. Whoever serves on it closes the socket; `remove_file` is for a Unix socket's path."""

    def __init__(self, sock: socket.socket, path: Path | None, *, adopted: bool = False) -> None:
        self.sock = sock
        self._path = path
        self._file = None if path is None or adopted else _identity(path)
        self.address = f"unix:{path}" if path is not None else _shown(sock)
        """Where it listens: with the port that was chosen for port 0. Stays known after the end."""

    def __repr__(self) -> str:
        return f"<Binding {self.address}>"

    @property
    def is_file(self) -> bool:
        """Whether it is a Unix socket."""
        return self._path is not None

    @property
    def path(self) -> Path | None:
        """Of a Unix socket."""
        return self._path

    @property
    def owns_file(self) -> bool:
        """Whether `remove_file` has anything to remove."""
        return self._file is not None

    @property
    def public(self) -> bool:
        """Whether others than this machine can reach it."""
        host = self.address.rpartition(":")[0]
        return self._path is None and not host.startswith("127.") and host != "[::1]"

    def remove_file(self) -> None:
        """Remove the socket's file, unless another server has put its own there. Idempotent."""
        if self._path is None or self._file is None:
            return
        if _identity(self._path) == self._file:
            self._path.unlink(missing_ok=True)
        self._file = None


def adopted(sock: socket.socket) -> Binding:
    """A socket that another process bound, and whose file, if it has one, is that process's to remove."""
    path = Path(os.fsdecode(sock.getsockname())) if sock.family is socket.AF_UNIX else None
    return Binding(sock, path, adopted=True)


def bind(address: str, *, advice: str) -> Binding:
    """Bind `HOST:PORT`, `[IPV6]:PORT` or `unix:/path`.

    Raises: ConfigError, with `advice` where the address can be chosen.
    """
    try:
        if address.startswith("unix:"):
            path = Path(address.removeprefix("unix:"))
            return Binding(_unix_socket(path), path)
        return Binding(_tcp_socket(address), None)
    except OSError as error:
        raise ConfigError(f"cannot listen on {address}: {_why(error)}. {advice}") from error


def _tcp_socket(address: str) -> socket.socket:
    host, _, port = address.rpartition(":")
    host = host.strip("[]")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family is socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind((host, int(port)))
    except BaseException:
        sock.close()
        raise
    return sock


def _unix_socket(path: Path) -> socket.socket:
    """A socket at this path; a dead one that was left there is replaced, a living one is not."""
    if _is_dead_socket(path):
        path.unlink(missing_ok=True)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.bind(str(path))
    except BaseException:
        sock.close()
        raise
    return sock


def _is_dead_socket(path: Path) -> bool:
    try:
        if not stat.S_ISSOCK(path.stat().st_mode):
            return False
    except FileNotFoundError:
        return False
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)  # a living server whose backlog is full would make us wait
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            return True
        except OSError:
            return False
    return False


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _shown(sock: socket.socket) -> str:
    host, port = sock.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _why(error: OSError) -> str:
    match error.errno:
        case errno.EADDRINUSE:
            return "another server is there already, or the file is no socket"
        case errno.EACCES | errno.EPERM:
            return "this user may not (ports below 1024 need CAP_NET_BIND_SERVICE)"
        case errno.EADDRNOTAVAIL:
            return "this machine has no such address"
        case _:
            return error.strerror or str(error)
