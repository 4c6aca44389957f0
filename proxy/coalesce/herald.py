"""Tells parked seats that they are settled: some in each round of the loop, and their books last.

What is written to sockets in a round of the loop is sent at its end. So a herd is told in portions: the first
need not wait until the last was written to. What a seat leaves to be done (counting, logging, going on to the
connection's next request) comes when all of the herd have been told: it holds up nobody's answer.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from proxy.coalesce.seat import Seat

logger = logging.getLogger(__name__)

AT_ONCE = 256
"""Seats in one round of the loop."""


class Herald:
    """Calls the `on_settled` of seats, and what they give back."""

    __slots__ = ("_later", "_untold")

    def __init__(self) -> None:
        # Lists, of which each round takes off the beginning: two deques take 1200 octets of each flight.
        self._untold: list[Seat] = []
        self._later: list[Callable[[], None]] = []

    def __repr__(self) -> str:
        return f"<Herald {len(self._untold)} to be told, {len(self._later)} left for later>"

    def tell(self, seat: Seat) -> None:
        """In the next round: the first octets of a body follow its head in this one, and go out with it."""
        if not self._untold:
            asyncio.get_running_loop().call_soon(self._tell)
        self._untold.append(seat)

    def _tell(self) -> None:
        told = self._untold[:AT_ONCE]
        for seat in told:
            on_settled, seat.on_settled = seat.on_settled, None
            if on_settled is None:
                continue
            try:
                later = on_settled()
            except Exception:
                logger.exception("seat_broken seat=%r", seat)
                continue
            if later is not None:
                self._later.append(later)
        del self._untold[: len(told)]
        if self._untold:
            asyncio.get_running_loop().call_soon(self._tell)
        elif len(self._later) == 1:  # no herd, or the last of one: nobody is held up
            self._do_later()
        elif self._later:
            asyncio.get_running_loop().call_soon(self._do_later)

    def _do_later(self) -> None:
        done = self._later[:AT_ONCE]
        for later in done:
            try:
                later()
            except Exception:
                logger.exception("seat_broken afterwards")
        del self._later[: len(done)]
        if self._later and not self._untold:
            asyncio.get_running_loop().call_soon(self._do_later)
