"""The way from a worker to another one: questions over a Unix socket, and whether anybody is there.

Theory of operation. A worker that asks must not wait for one that is dead or stands still, but it must wait
for one that waits for a slow origin. The two cannot be told apart by how long an answer takes. So while
anything is being waited for, the other worker is *looked at*: a request of its own kind that is answered at
once, by whoever turns its loop. Two states:

    there ──refused, connection lost, no look answered in time──► unreachable
      ▲                                                              │
      └──────────────────── a look is answered ──────────────────────┘

When it becomes unreachable, whoever waits for it is told in that step: a question without a head is lost (the
asker goes elsewhere), a body in the middle is cut. While it is unreachable nothing is asked of it, so that
its keys cost the time limit once and not each time; it is looked at until it answers.

Rejected: a time limit for each question (a slow origin would be asked once by each worker), and signs of life
in each answer (1xx cannot be sent once the head was, and a herd of keys would need as many timers).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from proxy.clock import Clock
from proxy.errors import OriginError
from proxy.http.fields import Fields
from proxy.origin.client import OriginClient
from proxy.origin.port import ForwardRequest, OnInformational
from proxy.peers.answer import OwnersAnswer
from proxy.peers.question import Question, look_field, question_field
from proxy.peers.word import OwnersWord, Trouble, word_in
from proxy.peers.worker_socket import settings_to_worker
from proxy.tasks import spawn

logger = logging.getLogger(__name__)

_LOOKS_WITHIN_LIMIT = 2
"""A look begins after this part of the time limit, and may take as long: together they are the limit."""

_LOOK_AGAIN_S = 0.25
"""At a worker that is unreachable: connecting to a socket that nobody listens on costs next to nothing."""


class Link:
    """To the worker of one slot, from that of the slot `asker`."""

    def __init__(self, slot: int, path: Path, *, asker: int, timeout_s: float, clock: Clock) -> None:
        self.slot = slot
        self.reachable = True
        self._asker = asker
        self._look_s = timeout_s / _LOOKS_WITHIN_LIMIT
        settings = settings_to_worker(path).model_copy(update={"connect_timeout_s": timeout_s})
        self._client = OriginClient(f"worker {slot}", settings, clock=clock)
        self._limits: set[asyncio.Timeout] = set()
        self.waited_for = 0
        """Questions without an answer, and answers without an end."""
        self._looking: asyncio.Task[None] | None = None
        self._closed = False

    def __repr__(self) -> str:
        state = "reachable" if self.reachable else "unreachable"
        return f"<Link to {self.slot}, {state}, {self.waited_for} waited for>"

    async def ask(
        self, question: Question, on_informational: OnInformational | None, *, arrangement: str
    ) -> OwnersAnswer | Trouble | None:
        """The other worker's answer, or why it has none; None if the question was lost.

        Whoever gets an answer closes it. `arrangement` is what both must have in common.
        """
        self._wait_begins()
        keep = False
        try:
            field = question_field(question, slot=self._asker, arrangement=arrangement)
            fields = question.request.fields.without((b"host",)).with_added(field)
            request = ForwardRequest("GET", question.request.target, fields, may_repeat=True)
            answer = await self._ask(request, on_informational)
            keep = isinstance(answer, OwnersAnswer)
            return answer
        finally:
            if not keep:
                self._wait_ends()

    async def _ask(
        self, request: ForwardRequest, on_informational: OnInformational | None
    ) -> OwnersAnswer | Trouble | None:
        try:
            async with self._watched():
                response = await self._client.send(request, on_informational=on_informational)
        except (OriginError, TimeoutError) as error:
            self._lost(error)
            return None
        try:
            word = word_in(tuple(response.head.fields))
        except ValueError as error:
            response.close()
            self._lost(error)
            return None
        if isinstance(word, OwnersWord):
            return OwnersAnswer(response, word, watched=self._watched, on_close=self._wait_ends)
        response.close()
        return word

    @asynccontextmanager
    async def _watched(self) -> AsyncIterator[None]:
        """Wait for the other worker within; it ends with a TimeoutError if it becomes unreachable."""
        async with asyncio.timeout(None if self.reachable else 0) as limit:
            self._limits.add(limit)
            try:
                yield
            finally:
                self._limits.discard(limit)

    # looking

    def _wait_begins(self) -> None:
        self.waited_for += 1
        self._look_after()

    def _wait_ends(self) -> None:
        self.waited_for -= 1

    def _look_after(self) -> None:
        if self._looking is None and not self._closed:
            self._looking = spawn(self._keep_looking(), name=f"look at worker {self.slot}")

    async def _keep_looking(self) -> None:
        try:
            while self.waited_for or not self.reachable:
                await asyncio.sleep(self._look_s if self.reachable else min(self._look_s, _LOOK_AGAIN_S))
                if not self.waited_for and self.reachable:
                    return
                try:
                    await self._look()
                except (OriginError, TimeoutError) as error:
                    self._lost(error)
                else:
                    self._found()
        finally:
            self._looking = None

    async def _look(self) -> None:
        """Raises: OriginError, TimeoutError if nobody answers."""
        request = ForwardRequest("GET", b"/", Fields((look_field(slot=self._asker),)), may_repeat=True)
        async with asyncio.timeout(self._look_s):
            response = await self._client.send(request)
            try:
                while await response.read():
                    pass
            finally:
                response.close()

    def _found(self) -> None:
        if not self.reachable:
            self.reachable = True
            logger.info("worker_found slot=%d", self.slot)

    def _lost(self, error: Exception) -> None:
        if self._closed:
            return
        if self.reachable:
            self.reachable = False
            logger.warning("worker_lost slot=%d waited_for=%d reason=%r", self.slot, self.waited_for, error)
            now = asyncio.get_running_loop().time()
            for limit in self._limits:
                if not limit.expired():
                    limit.reschedule(now)
        self._look_after()

    async def close(self) -> None:
        """Ask nothing more; open answers end with their owners."""
        self._closed = True
        if self._looking is not None:
            self._looking.cancel()
        await self._client.close()
