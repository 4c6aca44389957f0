"""What goes along when the supervisor becomes another program (SIGUSR2), which keeps its process id.

The process is replaced by `exec`, so the listening sockets, the control channels and the workers, who are
its children, stay its own: nobody outside sees a difference, be it a service manager or a container's init.
What the new program must know lies in a file without a name, whose descriptor the environment tells.

Rejected: a second supervisor beside the first. It would have to be told to the service manager, would not
be the parent of the old workers, and two of them would have to agree on every purge.
"""

from __future__ import annotations

import json
import os
from collections.abc import MutableMapping, Sequence
from dataclasses import dataclass
from typing import Any

from proxy.errors import ConfigError
from proxy.workers.plain import made, plain

VARIABLE = "LOCKGATE_HANDOVER"


@dataclass(frozen=True, slots=True)
class KeptAddress:
    """A listening address and the descriptors of its sockets. `owns_file` says that a socket file is ours."""

    configured: str
    fds: tuple[int, ...]
    shared: bool
    owns_file: bool


@dataclass(frozen=True, slots=True)
class KeptMember:
    """A worker, and its control channel where it was left off; `rest` is hexadecimal."""

    slot: int
    pid: int
    fd: int
    asked: int
    rest: str
    holds_disk: bool
    holds_writes: bool
    state: str
    connections: int
    latest: Any


@dataclass(frozen=True, slots=True)
class Handover:
    """All of it. Descriptors are inherited under their numbers."""

    addresses: tuple[KeptAddress, ...]
    admin: KeptAddress | None
    members: tuple[KeptMember, ...]
    source: dict[str, Any]
    generation: int
    slots: int
    socket_dir: str
    left: Any
    restarts: int
    notify: str | None

    def fds(self) -> list[int]:
        """Every descriptor that goes along."""
        kept = [fd for address in self.addresses for fd in address.fds]
        admin = [] if self.admin is None else list(self.admin.fds)
        return [*kept, *admin, *(member.fd for member in self.members)]


def left_behind(document: str) -> int:
    """A descriptor of a file with this text, which the next program inherits."""
    fd = os.memfd_create("lockgate-handover", 0)
    with os.fdopen(os.dup(fd), "wb") as file:
        file.write(document.encode())
    return fd


def taken(environ: MutableMapping[str, str]) -> str | None:
    """The text that was left behind for us, if there is one; its variable is taken out.

    Raises: ConfigError if it cannot be read.
    """
    number = environ.pop(VARIABLE, None)
    if number is None:
        return None
    try:
        with os.fdopen(int(number), "rb") as file:
            file.seek(0)
            return file.read().decode()
    except (OSError, ValueError) as error:
        raise ConfigError(f"{VARIABLE} is {number}, which is nothing of ours: {error}") from error


def become(command: Sequence[str], document: str, fds: Sequence[int]) -> None:
    """Become another program with these descriptors. Returns never. Raises: OSError; nothing changed then."""
    fd = left_behind(document)
    try:
        for number in (fd, *fds):
            os.set_inheritable(number, True)
        os.execve(command[0], list(command), {**os.environ, VARIABLE: str(fd)})
    finally:
        os.close(fd)
        for number in fds:
            os.set_inheritable(number, False)


def as_text(handover: Handover) -> str:
    """As the new program reads it."""
    return json.dumps(plain(handover))


def of_text(text: str) -> Handover:
    """Raises: ConfigError if another version wrote it that did not know what we need."""
    try:
        return made(Handover, json.loads(text))
    except (KeyError, TypeError, ValueError) as error:
        raise ConfigError(f"what the running version hands over cannot be used: {error!r}") from error
