"""From configured addresses to targets: names are looked up once before use, then again behind requests."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import socket
from collections.abc import Awaitable, Callable, Sequence

from proxy.clock import Clock
from proxy.errors import OriginError
from proxy.origin.address import Address
from proxy.origin.balancer import Target
from proxy.origin.faults import connect_fault
from proxy.tasks import spawn

logger = logging.getLogger(__name__)

LookUp = Callable[[str, int], Awaitable[Sequence[str]]]
"""Gives the IP addresses of a host, in the resolver's order; raises OSError."""

RETRY_LOOK_UP_S = 1.0
"""A name that could not be looked up is tried again this soon."""


async def system_look_up(host: str, port: int) -> Sequence[str]:
    """Ask the system's resolver; an IPv6 scope is kept as `%scope`."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    hosts = []
    for family, _, _, _, place in found:
        scope = place[3] if family == socket.AF_INET6 and len(place) == 4 else 0
        hosts.append(f"{place[0]}%{scope}" if scope else str(place[0]))
    return list(dict.fromkeys(hosts))


def is_literal(address: Address) -> bool:
    """Whether there is nothing to look up."""
    if address.scheme == "unix":
        return True
    try:
        ipaddress.ip_address(address.host)
    except ValueError:
        return False
    return True


class TargetGroup:
    """The targets of some addresses that stand for each other; `targets` is replaced, never changed."""

    __slots__ = (
        "_addresses",
        "_by_address",
        "_clock",
        "_due",
        "_errors",
        "_interval_s",
        "_look_up",
        "_on_gone",
        "_origin",
        "_task",
        "_timeout_s",
        "targets",
    )

    def __init__(
        self,
        addresses: Sequence[Address],
        *,
        origin: str,
        look_up: LookUp,
        interval_s: float,
        timeout_s: float,
        clock: Clock,
        on_gone: Callable[[Target], None],
    ) -> None:
        self._addresses = tuple(addresses)
        self._origin = origin
        self._look_up = look_up
        self._interval_s = interval_s
        self._timeout_s = timeout_s
        self._clock = clock
        self._on_gone = on_gone
        self._by_address: dict[Address, tuple[Target, ...]] = {
            address: (Target(address, address.host),) if is_literal(address) else () for address in addresses
        }
        self._errors: dict[Address, OriginError] = {}
        names = [address for address in addresses if not is_literal(address)]
        self._due = clock.mono() if names else float("inf")
        self._task: asyncio.Task[None] | None = None
        self.targets: tuple[Target, ...] = ()
        self._collect()

    def is_ready(self) -> bool:
        """Whether there are targets; a look-up that is due begins behind our back."""
        if self._clock.mono() >= self._due and self._task is None:
            self._task = spawn(self._look_up_all(), name=f"look up origin {self._origin}")
        return bool(self.targets)

    async def ready(self) -> None:
        """Wait for the first look-up; a later one that is due begins behind our back.

        Raises: OriginError if no address of the group has a target. Cancelling it leaves the look-up to
        the others who wait for it.
        """
        if self.is_ready():
            return
        if self._task is not None:
            await asyncio.shield(self._task)
        if not self.targets and self._errors:
            raise next(iter(self._errors.values()))

    async def close(self) -> None:
        """End a look-up that is under way."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _look_up_all(self) -> None:
        try:
            names = [address for address in self._addresses if not is_literal(address)]
            await asyncio.gather(*(self._look_up_one(address) for address in names))
            failed = any(address in self._errors for address in names)
            wait_s = min(RETRY_LOOK_UP_S, self._interval_s) if failed else self._interval_s
            self._due = self._clock.mono() + wait_s
            self._collect()
        finally:
            self._task = None

    async def _look_up_one(self, address: Address) -> None:
        try:
            async with asyncio.timeout(self._timeout_s):
                hosts = await self._look_up(address.host, address.port)
        except OSError as error:  # TimeoutError is one; the old answer stays
            self._errors[address] = connect_fault(error, origin=self._origin, where=address)
            logger.warning("look_up_failed origin=%s address=%s error=%r", self._origin, address, error)
            return
        self._errors.pop(address, None)
        known = {target.host: target for target in self._by_address[address]}
        self._by_address[address] = tuple(
            known.pop(host) if host in known else Target(address, host) for host in hosts
        )
        for gone in known.values():
            self._on_gone(gone)

    def _collect(self) -> None:
        self.targets = tuple(target for address in self._addresses for target in self._by_address[address])
