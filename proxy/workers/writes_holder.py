"""Which worker has the writes, also while two generations overlap: one at any time.

    started      the first of slot 0 takes them before it serves, and so does one that follows a dead one
    upgraded     the new one of slot 0 serves without; the one that has them gives them up, then it takes them

Whoever gives them up lets what is at origins end and closes the journal before it answers, so no write is in
two processes. While neither has them the requests wait, at all workers. One that does not give them up is
killed: then the journal is free, and what may be at an origin is waited for by the next one, who reads it
there; where there is no journal, he is told.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Final

from proxy.workers.channel import AskRefused, ChannelClosed
from proxy.workers.frames import Message
from proxy.workers.member import Member, State
from proxy.workers.place import WRITES_SLOT

logger = logging.getLogger(__name__)

AGAIN_S: Final = 5.0
"""After a worker could not take them: the disk may be put right."""

MARGIN_S: Final = 5.0
"""Beyond what giving them up may take: for the journal's last transactions."""


class WritesHolder:
    """`members` are all that live, `heir` gives the one that is to have the writes, if it is there."""

    def __init__(
        self,
        members: Sequence[Member],
        *,
        heir: Callable[[], Member | None],
        soon: Callable[[Coroutine[Any, Any, None], str], None],
        give_s: Callable[[], float],
    ) -> None:
        """`soon` runs something as a task; giving them up may take `give_s`."""
        self._members = members
        self._heir = heir
        self._soon = soon
        self._give_s = give_s
        self._clean = True
        self._handing = False

    def __repr__(self) -> str:
        held = [member.process.pid for member in self._holders()]
        return f"<WritesHolder {held} {'handing over' if self._handing else ''}>"

    def _holders(self) -> list[Member]:
        return [member for member in self._members if member.alive and member.holds_writes]

    def at_start_of(self, slot: int) -> Message:
        """What a worker of this slot is told when it starts."""
        later = slot != WRITES_SLOT or self._handing or bool(self._holders())
        return {"writes_later": later, "writes_clean": self._clean}

    def gone(self, member: Member) -> None:
        """It has ended, well or not."""
        if member.holds_writes:
            self._clean = member.process.ended.result() == 0

    def settle(self) -> None:
        """See that the heir has them, or gets them."""
        heir = self._heir()
        if heir is not None and heir.state is State.READY and not heir.holds_writes and not self._handing:
            self._handing = True
            self._soon(self._hand(heir), "writes")

    async def _hand(self, heir: Member) -> None:
        try:
            for holder in self._holders():
                await self._given_up(holder)
            taken = await self._taken(heir)
        finally:
            self._handing = False
        if not taken:
            await asyncio.sleep(AGAIN_S)
        self.settle()

    async def _given_up(self, holder: Member) -> None:
        try:
            told = await holder.channel.ask("give_writes", timeout_s=self._give_s() + MARGIN_S)
            self._clean = bool(told["clean"])
        except ChannelClosed:
            self._clean = await asyncio.shield(holder.process.ended) == 0
        except (AskRefused, TimeoutError) as error:
            logger.error("writes_not_given pid=%d error=%r: it is killed", holder.process.pid, error)
            await holder.kill()
            self._clean = False
        holder.holds_writes = False

    async def _taken(self, heir: Member) -> bool:
        """False if it could not, and may try again."""
        heir.holds_writes = True  # from now on it may: it is asked for them again, whatever it answers
        try:
            await heir.channel.ask("take_writes", {"clean": self._clean})
        except ChannelClosed:
            return True  # the next one in its slot finds them free
        except AskRefused as error:
            logger.error("writes_not_taken pid=%d next_in_s=%g error=%s", heir.process.pid, AGAIN_S, error)
            heir.holds_writes = False
            return False
        self._clean = True
        logger.info("writes_taken pid=%d", heir.process.pid)
        return True
