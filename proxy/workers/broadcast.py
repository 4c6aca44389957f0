"""Purges of all workers, in one order, acknowledged when all have them.

Theory of operation. A purge comes from an operator, or from a worker that was told to purge or passed a
write on. It is sent to all workers twice:

    first   each fences and removes what it covers, and writes that down where it has a disk tier
    again   each does so once more

Once is not enough. A worker asks another, the key's owner, for what it has not: and where it is purged
before the owner, it may fetch from the owner, after its purge, what the owner loses a moment later. When
all have confirmed the first round no owner can give it any more, and whatever was asked before is covered
by the second.

The channel keeps the order, so all workers see all purges in the order in which they came here. Who does
not confirm in time is killed: what is dead serves nothing old. A worker that is just starting holds nothing
in memory and is not waited for.

What the slot's disk tier holds must be purged for good before the acknowledgement. Where no worker
confirmed that it wrote the purge down, it is written into the slot's file (`missed`), which the next one
reads before it serves.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from pathlib import Path

from proxy.errors import PurgeNotDurable
from proxy.policy.purges import PurgeKind
from proxy.tasks import spawn
from proxy.workers.channel import AskRefused, ChannelClosed
from proxy.workers.frames import Message
from proxy.workers.member import Member, State
from proxy.workers.missed import Missed

logger = logging.getLogger(__name__)


class Broadcast:
    """Purges all workers.

    `members` gives those there are, `disk` the directory and its slots where there is a disk tier.
    """

    def __init__(
        self,
        members: Callable[[], Sequence[Member]],
        *,
        disk: Callable[[], tuple[Path, int] | None],
        timeout_s: float,
    ) -> None:
        self._members = members
        self._disk = disk
        self.timeout_s = timeout_s
        self.running = 0
        self.killed = 0
        self._idle = asyncio.Event()
        self._idle.set()

    def __repr__(self) -> str:
        return f"<Broadcast {self.running} running, {self.killed} workers killed>"

    async def wait_idle(self) -> None:
        """Wait until no purge is under way."""
        await self._idle.wait()

    async def told(self, teller: Member, body: Message) -> Message:
        """What a worker that purges is answered, once all have it. Raises: PurgeNotDurable."""
        order = {name: body[name] for name in ("coverage", "soft", "hold_s")}
        return {"entries": await self.purge(order, teller=teller)}

    async def purge(self, order: Message, *, teller: Member | None, kind: PurgeKind | None = None) -> int:
        """Purge everywhere; how many entries there were, the teller's own left out.

        `order` has `coverage` and `soft`, and `hold_s` where it is a write's; `kind` is for the counters,
        where no worker has counted it yet.

        Raises: PurgeNotDurable.
        """
        self.running += 1
        self._idle.clear()
        try:
            return await self._purge(order, teller, kind)
        finally:
            self.running -= 1
            if not self.running:
                self._idle.set()

    async def _purge(self, order: Message, teller: Member | None, kind: PurgeKind | None) -> int:
        held = {member for member in self._members() if member.holds_disk}
        confirmed: set[Member] = set() if teller is None else {teller}
        others = [member for member in self._members() if member.alive and member is not teller]
        entries = await self._round(others, order, confirmed, kind=kind)
        living = [member for member in self._members() if member.alive]
        if len(living) > 1:
            await self._round(living, order, confirmed)
        await self._write_down(order, {member.slot for member in confirmed & held})
        return entries

    async def _round(
        self, members: Sequence[Member], order: Message, confirmed: set[Member], kind: PurgeKind | None = None
    ) -> int:
        asked: dict[asyncio.Future[Message], Member] = {}
        for member in members:
            counts = kind is not None and member.state is not State.STARTING
            body = {**order, "counted": kind} if counts else order
            kind = None if counts else kind  # one of them counts it
            reply = member.channel.asking("purge", body)
            if member.state is State.STARTING:
                reply.add_done_callback(_ignored)
            else:
                asked[reply] = member
        if not asked:
            return 0
        done, late = await asyncio.wait(asked, timeout=self.timeout_s)
        entries, failure = 0, None
        for reply in done:
            error = reply.exception()
            if error is None:
                confirmed.add(asked[reply])
                entries += int(reply.result()["entries"])
            elif isinstance(error, AskRefused):
                failure = error
            else:
                assert isinstance(error, ChannelClosed), f"{error!r} from a channel"
                await asyncio.shield(asked[reply].kill())
        await self._end([asked[reply] for reply in late])
        for reply in late:
            reply.cancel()
        if failure is not None:
            raise PurgeNotDurable(str(failure))
        return entries

    async def _end(self, late: Sequence[Member]) -> None:
        for member in late:
            logger.error(
                "purge_not_confirmed slot=%d pid=%d within_s=%g: it is killed",
                member.slot,
                member.process.pid,
                self.timeout_s,
            )
            self.killed += 1
        if late:
            await asyncio.gather(*(asyncio.shield(spawn(one.kill(), name="kill")) for one in late))

    async def _write_down(self, order: Message, written: set[int]) -> None:
        disk = self._disk()
        if disk is None:
            return
        directory, slots = disk
        missed = {name: order[name] for name in ("coverage", "soft")}  # `hold_s` counts from now
        for slot in range(slots):
            if slot not in written:
                try:
                    await asyncio.to_thread(Missed(directory, slot).add, missed)
                except OSError as error:
                    raise PurgeNotDurable(f"the purge could not be written down: {error}") from error


def _ignored(reply: asyncio.Future[Message]) -> None:
    """It starts with nothing in memory, and what its disk tier must know is written down."""
    if not reply.cancelled():
        reply.exception()
