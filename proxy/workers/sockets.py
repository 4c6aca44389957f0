"""The listening sockets, which the supervisor owns.

Theory of operation. Each worker slot has a socket of its own at each TCP address (SO_REUSEPORT), so that
the kernel spreads connections without a lock. They are bound before any worker runs and stay open while
the supervisor lives: a worker and its successor accept from the very same socket. To close one of two such
sockets would reset what the kernel had queued on it, so a worker's death, its restart and an upgrade cost
no connection that was not accepted yet. When there are fewer slots after an upgrade than sockets, the
remaining workers share what is left over.

A Unix socket, and one that the service manager passed, is one for all workers.

SO_REUSEPORT lets any process of this user join. That another server is there already is seen before, by
binding without it.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence
from dataclasses import dataclass, field

from proxy.config.settings import ListenSettings
from proxy.errors import ConfigError
from proxy.server.binding import Binding, adopted, bind
from proxy.workers.handover import KeptAddress

_ADVICE = "Choose another address under `listen`, or with --listen"


@dataclass(slots=True)
class Address:
    """One address of the configuration and its sockets. Of a `shared` one each worker has the same socket."""

    configured: str
    bindings: list[Binding] = field(default_factory=list)
    shared: bool = False

    @property
    def shown(self) -> str:
        """With the port that was chosen for port 0."""
        return self.bindings[0].address

    def of_slot(self, slot: int, slots: int) -> list[Binding]:
        """Those that the worker of a slot accepts from."""
        return list(self.bindings) if self.shared else self.bindings[slot::slots]

    def widen(self, slots: int) -> None:
        """Bind what is missing for so many slots. Raises: ConfigError."""
        while not self.shared and len(self.bindings) < slots:
            try:
                self.bindings.append(adopted(_beside(self.bindings[0].sock)))
            except OSError as error:
                raise ConfigError(f"cannot listen on {self.shown} {slots} times: {error}") from error

    def let_go(self) -> None:
        """Close them here; the workers still accept."""
        for binding in self.bindings:
            binding.sock.close()

    def close(self) -> None:
        """Close them all, and remove the file of a Unix socket that is ours."""
        self.let_go()
        for binding in self.bindings:
            binding.remove_file()


def _beside(first: socket.socket) -> socket.socket:
    sock = socket.socket(first.family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if first.family is socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind(first.getsockname())
    except BaseException:
        sock.close()
        raise
    return sock


def opened(
    listen: Sequence[ListenSettings],
    *,
    slots: int,
    kept: Sequence[Address] = (),
    passed: Sequence[socket.socket] = (),
) -> list[Address]:
    """A socket for each slot at each address.

    `kept` are addresses that are open already (before an upgrade), `passed` sockets of the service manager;
    both are taken where the configuration names them. What is not taken stays the caller's.

    Raises: ConfigError; what was bound here is closed then.
    """
    by_name = {address.configured: address for address in kept}
    made: list[Address] = []
    found: list[Address] = []
    try:
        for settings in listen:
            address = by_name.get(settings.address) or _passed(settings.address, passed)
            if address is None:
                address = _bound(settings.address)
                made.append(address)
            address.widen(slots)
            found.append(address)
    except BaseException:
        for address in made:
            address.close()
        raise
    return found


def _passed(configured: str, passed: Sequence[socket.socket]) -> Address | None:
    for sock in passed:
        binding = adopted(sock)
        if binding.address == configured:
            return Address(configured, [binding], shared=True)
    return None


def _bound(configured: str) -> Address:
    binding = bind(configured, advice=_ADVICE)
    if binding.is_file:
        return Address(configured, [binding], shared=True)
    first = binding.sock
    # From here on others of ours may join it; bound without, it was told whether a stranger is there.
    first.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    return Address(configured, [binding])


def handed(fds: Sequence[int]) -> list[Binding]:
    """The bindings of descriptors that were inherited."""
    bindings = []
    for fd in fds:
        os.set_inheritable(fd, False)
        bindings.append(adopted(socket.socket(fileno=fd)))
    return bindings


def kept(address: Address) -> KeptAddress:
    """The address as the next program takes it over."""
    return KeptAddress(
        configured=address.configured,
        fds=tuple(binding.sock.fileno() for binding in address.bindings),
        shared=address.shared,
        owns_file=any(binding.owns_file for binding in address.bindings),
    )


def restored(one: KeptAddress) -> Address:
    """The address that the program before had open."""
    bindings = handed(one.fds)
    if one.owns_file:
        bindings = [Binding(binding.sock, binding.path) for binding in bindings]
    return Address(one.configured, bindings, one.shared)
