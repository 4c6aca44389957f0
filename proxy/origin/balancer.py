"""Which target a request goes to: least outstanding, ties in turn, failing ones left out for a while."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from proxy.origin.address import Address

if TYPE_CHECKING:
    from proxy.origin.connection import OriginConnection


class Target:
    """One IP address (or Unix socket) of a configured address, with its health and its counters.

    `host` is the IP address or the socket's path. `left_out_until` is on the monotonic clock; None while
    the target is healthy. `idle` belongs to the pool.
    """

    __slots__ = (
        "address",
        "connect_failures",
        "connects",
        "failures_in_row",
        "host",
        "idle",
        "left_out_until",
        "outstanding",
        "probing",
        "requests",
    )

    def __init__(self, address: Address, host: str) -> None:
        self.address = address
        self.host = host
        self.outstanding = 0
        self.requests = 0
        self.connects = 0
        self.connect_failures = 0
        self.failures_in_row = 0
        self.left_out_until: float | None = None
        self.probing = False
        self.idle: deque[OriginConnection] = deque()

    def __str__(self) -> str:
        if self.address.scheme == "unix" or self.host == self.address.host:
            return self.address.text
        return f"{self.address.text} ({self.host})"

    def __repr__(self) -> str:
        return f"<Target {self} outstanding={self.outstanding} left_out_until={self.left_out_until}>"


class Balancer:
    """Chooses a target and remembers which ones refused to be connected to."""

    __slots__ = ("_fail_after", "_fail_for_s", "_turn")

    def __init__(self, *, fail_after: int, fail_for_s: float) -> None:
        self._fail_after = fail_after
        self._fail_for_s = fail_for_s
        self._turn = 0

    def choose(self, targets: Sequence[Target], tried: Collection[Target], *, now: float) -> Target | None:
        """The target for the next try; None if each has been tried or is left out.

        A target whose time out is over is given to exactly one request, before all others: the caller
        has to report back with `connected`, `failed` or `gave_up`, and until then nobody else gets it.
        """
        count = len(targets)
        self._turn += 1
        best: Target | None = None
        for step in range(count):
            target = targets[(self._turn + step) % count]
            if target in tried:
                continue
            if target.left_out_until is not None:
                if target.probing or now < target.left_out_until:
                    continue
                target.probing = True
                return target
            if best is None or target.outstanding < best.outstanding:
                best = target
        return best

    def connected(self, target: Target) -> None:
        """A connection was made: the target is healthy."""
        target.connects += 1
        target.failures_in_row = 0
        target.left_out_until = None
        target.probing = False

    def failed(self, target: Target, *, now: float, sole: bool = False) -> bool:
        """A connection could not be made; True if the target is left out from now on.

        A `sole` target never is: there is nowhere else to go, and an origin that restarts is back at once.
        """
        target.connect_failures += 1
        target.failures_in_row += 1
        target.probing = False
        if sole or target.failures_in_row < self._fail_after:
            return False
        target.left_out_until = now + self._fail_for_s
        return True

    def gave_up(self, target: Target) -> None:
        """The request that was to try the target went away before it knew; the next one tries."""
        target.probing = False
