"""The way to the worker that has the writes: whole exchanges over a Unix socket, at one path for all.

Theory of operation. Whoever has the writes listens at that path, and nobody else; so who relays need not know
which worker it is, nor of which generation. A worker that gives the writes up stops listening there before it
does, and the next one begins when it has them. What cannot be given over meanwhile waits: one task looks
whether anybody listens, for all that wait, and lets them go on in their order.

A request was given over from the moment that the other side may have the whole of it. Until then it is sent
to whoever comes next; from then on only if the other side says that it did not take it in, since the writes
leave it; and if its answer is lost nobody knows what became of it.

No time limit is set on an answer: that worker has its own, and one that stands still is killed by the
supervisor, which ends its connections.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Final

from proxy.clock import Clock
from proxy.errors import OriginError, QueueUnavailable, WriteLost
from proxy.http.fields import Fields
from proxy.http.messages import ResponseHead
from proxy.origin.client import OriginClient
from proxy.origin.port import ForwardRequest, Framing, OnInformational, OriginResponse
from proxy.peers.relay_field import MOVED, Relayed, Told, relayed_fields, told_in
from proxy.peers.worker_socket import settings_to_worker
from proxy.policy.surrogate_keys import SAFE_METHODS
from proxy.server.writes.kept_body import KeptBody
from proxy.tasks import spawn

LOOK_S: Final = 0.05
"""Between two looks whether anybody listens: a refused connection costs next to nothing."""

_IDLE_S: Final = 2.0
"""A write takes no connection that was idle for longer than a second; a worker that drains waits for none."""


class RelayedAnswer:
    """The answer of the worker that has the writes, and what it told of the exchange."""

    __slots__ = ("_response", "head", "told")

    def __init__(self, response: OriginResponse, head: ResponseHead, told: Told) -> None:
        self._response = response
        self.head = head
        self.told = told

    def __repr__(self) -> str:
        return f"<RelayedAnswer {self.head.status} {self.told}>"

    @property
    def length(self) -> int | None:
        """Octets of the body, if they were declared."""
        return 0 if self._response.framing is Framing.NONE else self._response.length

    async def read(self) -> bytes:
        """The next piece of the body, `b""` at its proper end. Raises: OriginError."""
        return await self._response.read()

    def close(self) -> None:
        """Done with it. Idempotent."""
        self._response.close()


class Relay:
    """To the worker that has the writes. `patience_s` is how long what was not given over waits for one."""

    def __init__(self, path: Path, *, patience_s: float, clock: Clock) -> None:
        self._path = path
        self._patience_s = patience_s
        settings = settings_to_worker(path).model_copy(update={"idle_timeout_s": _IDLE_S})
        self._client = OriginClient("the worker that has the writes", settings, clock=clock)
        self._looking: asyncio.Task[None] | None = None
        self._there: asyncio.Future[None] | None = None

    def __repr__(self) -> str:
        waiting = "" if self._looking is None else ", nobody is there"
        return f"<Relay {self._path}{waiting}>"

    async def ask(
        self,
        relayed: Relayed,
        *,
        body: KeptBody | None,
        expect_continue: bool,
        on_informational: OnInformational,
    ) -> RelayedAnswer:
        """Have it answered; whoever gets the answer closes it.

        Raises: QueueUnavailable (it was not given over), WriteLost (it was, and nobody knows), and what
        reading the body raises.
        """
        loop = asyncio.get_running_loop()
        until_mono = loop.time() + self._patience_s
        sent = _Sent()
        request = ForwardRequest(
            relayed.request.method,
            relayed.request.target,
            relayed_fields(relayed),
            body=body,
            expect_continue=expect_continue,
            before_sending=sent.begins,
        )
        while True:
            sent.begun = False
            try:
                answer = _answer(await self._client.send(request, on_informational=on_informational))
            except OriginError as error:
                _check_unsent(relayed.request.method, body, sent, error)
            else:
                if answer.told.outcome != MOVED:
                    return answer
                answer.close()
                _rewind(body)
            await self._wait_there(until_mono)

    async def _wait_there(self, until_mono: float) -> None:
        """Wait until somebody listens. Raises: QueueUnavailable."""
        if self._looking is None:
            self._there = asyncio.get_running_loop().create_future()
            self._looking = spawn(self._look(self._there), name="look for the writes")
        assert self._there is not None, "somebody looks"
        try:
            async with asyncio.timeout_at(until_mono):
                await asyncio.shield(self._there)
        except TimeoutError:
            raise QueueUnavailable("no worker takes writes in now") from None

    async def _look(self, there: asyncio.Future[None]) -> None:
        loop = asyncio.get_running_loop()
        try:
            while True:
                try:
                    transport, _ = await loop.create_unix_connection(asyncio.Protocol, str(self._path))
                except OSError:
                    await asyncio.sleep(LOOK_S)
                else:
                    transport.close()
                    return
        finally:
            self._looking = None
            if not there.done():
                there.set_result(None)

    async def close(self) -> None:
        """Relay nothing more; open answers end with their owners."""
        if self._looking is not None:
            self._looking.cancel()
        await self._client.close()


class _Sent:
    """Whether the first octet of the request was written."""

    __slots__ = ("begun",)

    def __init__(self) -> None:
        self.begun = False

    def begins(self) -> None:
        self.begun = True


def _check_unsent(method: str, body: KeptBody | None, sent: _Sent, error: OriginError) -> None:
    """Go on if the request may be given to another. Raises: WriteLost, QueueUnavailable."""
    if not sent.begun or (method in SAFE_METHODS and body is None):
        return
    if body is None or body.given:
        raise WriteLost(f"the worker that has the writes ended before it answered: {error}") from error
    _rewind(body)


def _rewind(body: KeptBody | None) -> None:
    """Raises: QueueUnavailable."""
    if body is not None and not body.rewind():
        raise QueueUnavailable("the worker that has the writes went while the body was on its way")


def _answer(response: OriginResponse) -> RelayedAnswer:
    """Raises: WriteLost if nothing is told of the exchange."""
    head = response.head
    try:
        told, fields = told_in(tuple(head.fields))
    except ValueError as error:
        response.close()
        raise WriteLost(f"the worker that has the writes answered without a word: {error}") from error
    return RelayedAnswer(response, replace(head, fields=Fields(fields)), told)
