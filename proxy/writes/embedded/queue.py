"""The WriteQueue of one process: all shards are its own, for ever, and the journal keeps what was promised.

    put ──place taken, delivered──► [body into its file] ──► row ──► returned: durable
    started ──► mark ──► sent ──► done | bury: row out, end and event in, one transaction

Theory of operation. A write is delivered within `put`, before it is durable: the lane may prepare it, but its
`started` is submitted behind its row, and so it is at the origin only once a crash would give it back.
Should the row not be kept, the write is withdrawn and everything behind it fails, too.

A write that is not durable passes by the journal. Only its event is kept, and nobody waits for that: events
are gathered for `LINGER_S`, since a commit for each would cost a busy proxy more than the write itself.
When too many of them wait, the lanes wait, too.

One failure of the disk refuses new durable writes and nothing else: writes that are not durable go on, ends
are tried as long as that is any use (`health.py`), and who asks for an end that was not kept asks again.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Awaitable
from typing import Final

from proxy.errors import QueueUnavailable
from proxy.tasks import spawn
from proxy.writes.embedded.database import GENERATION_SHIFT
from proxy.writes.embedded.health import Condition, is_of_the_file
from proxy.writes.embedded.jobs import End, Insert, Job, Start
from proxy.writes.embedded.journal import Journal
from proxy.writes.embedded.live import EmbeddedDelivery
from proxy.writes.embedded.recovery import recover
from proxy.writes.events import CommitEvent
from proxy.writes.port import Delivery, Owner
from proxy.writes.problem import Problem
from proxy.writes.write import Result, Write

logger = logging.getLogger(__name__)

LINGER_S: Final = 0.02
MAX_LINGERING: Final = 256
MAX_UNKEPT_EVENTS: Final = 10_000


class EmbeddedQueue:
    """A WriteQueue over a journal, which it opens and closes."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._live = journal.live
        self._owner: Owner
        self._epoch = 0
        self._last_position = 0
        self._held: list[EmbeddedDelivery] = []  # put while what was left is still being delivered
        self._spooling: set[asyncio.Task[None]] = set()
        self._recovering: asyncio.Task[None] | None = None
        self._lingering: list[End] = []
        self._lingers: asyncio.TimerHandle | None = None
        self._unkept_events = 0
        self._closing = False
        self._stopped: str | None = None

    def __repr__(self) -> str:
        return f"<EmbeddedQueue {self._journal!r} held={len(self._held)} spooling={len(self._spooling)}>"

    @property
    def shards(self) -> int:
        """How many there are."""
        return self._journal.settings.shards

    # life

    async def start(self, owner: Owner) -> None:
        """Open the journal; deliver what was left, then what comes. Raises: ConfigError."""
        await self._journal.open()
        opened = self._journal.opened
        self._owner = owner
        self._epoch = opened.run
        # Positions rise over all processes: a body's file and a row's seal never meet a second write there.
        self._last_position = opened.run << GENERATION_SHIFT
        for shard in range(self.shards):
            owner.gained(shard, epoch=self._epoch, clean=opened.clean)
        if opened.last_seq:
            self._journal.recovering = True
            self._recovering = spawn(self._recover(opened.last_seq), name="journal recovery")

    async def _recover(self, last_seq: int) -> None:
        journal = self._journal
        try:
            await recover(
                journal.read,
                spool=journal.opened.spool,
                epoch=self._epoch,
                last_seq=last_seq,
                deliver=self._deliver_left,
            )
        except QueueUnavailable as error:
            # What is behind cannot be delivered out of turn, and nothing new may overtake it.
            logger.critical("journal_recovery_stopped error=%r", str(error))
            self._stopped = str(error)
            return
        held, self._held = self._held, []
        journal.recovering = False
        for delivery in held:
            if self._live.get(delivery.write.id) is delivery:
                self._owner.deliver(delivery)

    async def wait_recovered(self) -> None:
        """Wait until everything that was left is delivered, or the journal could not be read on."""
        if self._recovering is not None:
            await asyncio.wait([self._recovering])

    def _deliver_left(self, delivery: EmbeddedDelivery) -> None:
        self._live.add(delivery)
        self._owner.deliver(delivery)

    async def close(self, *, clean: bool) -> None:
        """Keep what was promised and stop. Idempotent."""
        self._closing = True
        if self._recovering is not None:
            self._recovering.cancel()
        if self._spooling:
            await asyncio.wait(self._spooling)
        self._flush()
        await self._journal.close(clean=clean)

    def lease_left_s(self, shard: int) -> float:
        """Infinite: nobody else can own a shard of this journal."""
        return math.inf

    def release(self, shard: int) -> None:
        """Nobody else could have it."""

    # writes in

    @property
    def puts_at_once(self) -> bool:
        """What is not durable passes by the journal."""
        return True

    async def put(self, write: Write) -> int:
        """Take a write in; its position. Raises: QueueFull, QueueUnavailable."""
        if not write.durable:
            return self.put_at_once(write)
        delivery = self._admit(write)
        kept = self._keep(delivery)
        self._deliver(delivery)
        await kept
        return delivery.position

    def put_at_once(self, write: Write) -> int:
        """Take a write in that is not durable; its position. Raises: QueueFull, QueueUnavailable."""
        assert not write.durable, "what is promised has to be kept first"
        delivery = self._admit(write)
        self._deliver(delivery)
        return delivery.position

    def _deliver(self, delivery: EmbeddedDelivery) -> None:
        if self._journal.recovering:
            self._held.append(delivery)
        else:
            self._owner.deliver(delivery)

    def _admit(self, write: Write) -> EmbeddedDelivery:
        journal = self._journal
        journal.opened  # noqa: B018  # raises if it is not
        if self._closing:
            raise QueueUnavailable("The journal is being closed.")
        if self._stopped is not None:
            raise QueueUnavailable(self._stopped)
        if write.durable and (reason := journal.health.refusal()) is not None:
            raise QueueUnavailable(f"No write is taken in: {reason}.")
        self._live.check_room(write)
        assert 0 <= write.shard < self.shards, f"there is no shard {write.shard}"
        self._last_position += 1
        delivery = EmbeddedDelivery(write, position=self._last_position, epoch=self._epoch)
        self._live.add(delivery)
        return delivery

    def _keep(self, delivery: EmbeddedDelivery) -> Awaitable[None]:
        write = delivery.write
        large = len(write.body) > self._journal.settings.spool_above_bytes
        if large:
            delivery.body_name = f"{delivery.position:016x}"

        def settled(error: Exception | None) -> None:
            if error is not None:
                self._withdraw(delivery)

        job = Insert(write, delivery.position, body=delivery.body_name, on_settled=settled)
        kept = job.waits(asyncio.get_running_loop())
        if large:
            delivery.spooling = [job]
            task = spawn(self._spool(delivery), name="journal spool")
            self._spooling.add(task)
            task.add_done_callback(self._spooling.discard)
        else:
            self._journal.submit(job)
        return kept

    def _withdraw(self, delivery: EmbeddedDelivery) -> None:
        self._live.remove(delivery)
        if delivery.body_name is not None and self._journal.health.condition is not Condition.FAILED:
            # After a failed sync its row may be there all the same: an orphan is better than a row without.
            self._journal.remove_body(delivery.body_name)
        if delivery in self._held:
            self._held.remove(delivery)
        else:
            self._owner.withdraw(delivery)

    async def _spool(self, delivery: EmbeddedDelivery) -> None:
        """Write the body's file, then submit what waited for it."""
        journal = self._journal
        name = delivery.body_name
        assert name is not None, "only a delivery with a body's name is spooled"
        error: Exception | None = None
        try:
            await asyncio.get_running_loop().run_in_executor(
                journal.spoolers, journal.opened.spool.write, name, delivery.write.body
            )
        except (OSError, QueueUnavailable) as failed:
            error = failed
            if is_of_the_file(failed):
                journal.health.failed(failed)
        jobs, delivery.spooling = delivery.spooling or [], None
        for job in jobs:
            if error is None:
                journal.submit(job)
            else:
                job.error = QueueUnavailable(f"Not kept: its body could not be written: {error}.")
                job.settle()

    # marks and ends

    def started(self, delivery: Delivery, *, attempt: int) -> asyncio.Future[None] | None:
        """Mark an attempt; see the port. Raises, when awaited: QueueUnavailable."""
        assert isinstance(delivery, EmbeddedDelivery), "a delivery of another queue"
        if not delivery.write.durable:
            delivery.attempts = attempt
            return None
        started_at = self._journal.clock.now() if attempt else None

        def settled(error: Exception | None) -> None:
            if error is None:
                delivery.attempts = attempt
                delivery.started_at = started_at

        return self._submit(
            delivery, Start(delivery.position, attempt=attempt, started_at=started_at, on_settled=settled)
        )

    def done(self, delivery: Delivery, result: Result, event: CommitEvent) -> Awaitable[None] | None:
        """It ended; see the port. Raises, when awaited: QueueUnavailable."""
        assert isinstance(delivery, EmbeddedDelivery), "a delivery of another queue"
        if delivery.write.durable:
            return self._end(delivery, result, event, dead=None)
        return self._end_unkept(delivery, result, event)

    def bury(
        self, delivery: Delivery, problem: Problem, result: Result, event: CommitEvent
    ) -> Awaitable[None] | None:
        """It ended as a dead letter; see the port. Raises, when awaited: QueueUnavailable."""
        assert isinstance(delivery, EmbeddedDelivery), "a delivery of another queue"
        if delivery.write.durable:
            return self._end(delivery, result, event, dead=problem)
        return self._park_unkept(delivery, result, event, problem)

    def _end(
        self, delivery: EmbeddedDelivery, result: Result, event: CommitEvent, *, dead: Problem | None
    ) -> Awaitable[None]:
        def settled(error: Exception | None) -> None:
            if error is not None:
                return
            self._live.remove(delivery)
            if dead is None and delivery.body_name is not None:
                self._journal.remove_body(delivery.body_name)

        job = End(
            delivery.write,
            result,
            event,
            seq=delivery.position,
            started_at=delivery.started_at,
            body=delivery.body_name,
            dead=dead,
            on_settled=settled,
        )
        return self._submit(delivery, job)

    def _submit(self, delivery: EmbeddedDelivery, job: Job) -> asyncio.Future[None]:
        future = job.waits(asyncio.get_running_loop())
        if delivery.spooling is not None:
            delivery.spooling.append(job)
            return future
        try:
            self._journal.submit(job)
        except QueueUnavailable as error:
            future.set_exception(error)
        return future

    # ends of writes that are not durable

    def _end_unkept(
        self, delivery: EmbeddedDelivery, result: Result, event: CommitEvent
    ) -> Awaitable[None] | None:
        self._live.remove(delivery)

        def settled(_: Exception | None) -> None:
            self._unkept_events -= 1

        job = End(delivery.write, result, event, seq=None, on_settled=settled)
        waits: Awaitable[None] | None = None
        self._unkept_events += 1
        if self._unkept_events > MAX_UNKEPT_EVENTS:
            waits = self._wait_quietly(job)
        self._lingering.append(job)
        if len(self._lingering) >= MAX_LINGERING:
            self._flush()
        elif self._lingers is None:
            self._lingers = asyncio.get_running_loop().call_later(LINGER_S, self._flush)
        return waits

    def _park_unkept(
        self, delivery: EmbeddedDelivery, result: Result, event: CommitEvent, problem: Problem
    ) -> Awaitable[None]:
        """Its client is told; the copy is for the operator, and if it is lost the log has it."""
        self._live.remove(delivery)

        def settled(error: Exception | None) -> None:
            if error is not None:
                write = delivery.write
                logger.error("dead_letter_lost write=%s route=%s error=%r", write.id, write.route, str(error))

        self._flush()  # the events before it
        job = End(delivery.write, result, event, seq=None, dead=problem, on_settled=settled)
        waits = self._wait_quietly(job)
        try:
            self._journal.submit(job)
        except QueueUnavailable as error:
            job.error = error
            job.settle()
        return waits

    def _wait_quietly(self, job: Job) -> Awaitable[None]:
        """What was not promised is no reason to hold the answer back when it is lost."""
        waits: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        before = job.on_settled

        def settled(error: Exception | None) -> None:
            if before is not None:
                before(error)
            if not waits.done():
                waits.set_result(None)

        job.on_settled = settled
        return waits

    def _flush(self) -> None:
        if self._lingers is not None:
            self._lingers.cancel()
            self._lingers = None
        jobs, self._lingering = self._lingering, []
        for job in jobs:
            try:
                self._journal.submit(job)
            except QueueUnavailable as error:
                job.error = error
                job.settle()
