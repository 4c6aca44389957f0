"""An origin in memory that keeps the contract of the port; runs on a virtual clock as well.

No sockets, threads or real time: only futures of the running loop.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque

from proxy.config.settings import OriginSettings
from proxy.errors import OriginBodyCut, OriginError, OriginProtocolError, OriginTimeout, OriginUnreachable
from proxy.http.messages import ResponseHead
from proxy.origin.port import ForwardRequest, Framing, OnInformational
from proxy.origin.slots import Slot, Slots
from tests.origin.planned import Answer, Asked, Plan

DEFAULT_SETTINGS = OriginSettings(addresses=("http://memory.example",))


class MemoryOrigin:
    """`proxy.origin.port.Origin` that answers by plan and counts.

    While `refusing` is set each request fails to connect. `answer_for` may be replaced to choose the
    answer by the whole request. `outstanding_peak` is the most requests that it had at one time.
    """

    def __init__(self, *, name: str = "memory", settings: OriginSettings = DEFAULT_SETTINGS) -> None:
        self.name = name
        self.plan = Plan()
        self.refusing: OriginError | None = None
        self.open_answers = 0
        self.outstanding_peak = 0
        self._settings = settings
        self._slots = Slots(
            name,
            limit=settings.max_concurrency,
            max_queue=settings.max_queue,
            queue_timeout_s=settings.queue_timeout_s,
        )

    def __repr__(self) -> str:
        return f"<MemoryOrigin {self.name} asked={dict(self.plan.begun)}>"

    @property
    def outstanding(self) -> int:
        """Slots in use."""
        return self._slots.in_use

    @property
    def queued(self) -> int:
        """Requests that wait for a slot."""
        return self._slots.queued

    @property
    def asked(self) -> Counter[bytes]:
        """Requests by target, those included that failed or were cancelled."""
        return self.plan.begun

    def refuse(self) -> None:
        """Fail to connect from now on, until `refusing` is None again."""
        self.refusing = OriginUnreachable(f"origin {self.name} at memory: it refused the connection")

    def answer_for(self, request: ForwardRequest) -> Answer:
        """The answer of the plan."""
        return self.plan.next_for(request.target)

    async def send(
        self, request: ForwardRequest, *, on_informational: OnInformational | None = None
    ) -> MemoryResponse:
        slot = await self._slots.take()
        self.outstanding_peak = max(self.outstanding_peak, self._slots.in_use)
        try:
            if self.refusing is not None:
                raise self.refusing
            return await self._answer(request, on_informational, slot)
        except BaseException:
            slot.release()
            raise

    async def _answer(
        self, request: ForwardRequest, on_informational: OnInformational | None, slot: Slot
    ) -> MemoryResponse:
        if request.before_sending is not None:
            request.before_sending()
        answer = self.answer_for(request)
        body = b"" if answer.early else await _read_all(request)
        self.plan.asked.append(Asked(request.method, request.target, request.fields, body))
        if answer.upgrade is not None and request.upgrade is None:
            raise OriginProtocolError(f"origin {self.name}: it switched protocols without being asked")
        await self._until_head(answer, on_informational)
        response = MemoryResponse(self, answer, request.method, slot, self._settings.between_bytes_timeout_s)
        if response.tunnel is not None or _is_event_stream(response.head):
            slot.release()
        return response

    async def _until_head(self, answer: Answer, on_informational: OnInformational | None) -> None:
        try:
            async with asyncio.timeout(self._settings.first_byte_timeout_s):
                for head in answer.interim:
                    if on_informational is not None:
                        on_informational(head)
                if answer.delay_s:
                    await asyncio.sleep(answer.delay_s)
                if answer.head_gate is not None:
                    await answer.head_gate.passed()
        except TimeoutError as error:
            raise OriginTimeout(f"origin {self.name}: no answer within first_byte_timeout_s") from error
        if answer.cut_at == -1:
            raise OriginProtocolError(f"origin {self.name}: it closed the connection without an answer")


async def _read_all(request: ForwardRequest) -> bytes:
    pieces = []
    if request.body is not None:
        while piece := await request.body.read():
            pieces.append(piece)
    return b"".join(pieces)


def _is_event_stream(head: ResponseHead) -> bool:
    return (head.fields.get(b"content-type") or b"").startswith(b"text/event-stream")


class MemoryResponse:
    """`proxy.origin.port.OriginResponse` over an `Answer`."""

    word = None

    def __init__(
        self, origin: MemoryOrigin, answer: Answer, method: str, slot: Slot, between_bytes_timeout_s: float
    ) -> None:
        self.head = answer.head(method)
        self.framing = answer.framing if answer.has_body(method) else Framing.NONE
        self.tunnel = MemoryTunnel() if answer.upgrade is not None else None
        self._origin = origin
        self._answer = answer
        self._slot = slot
        self._limit_s = between_bytes_timeout_s
        self._sent = 0
        self._closed = False
        self._ended = False
        self._failed: OriginError | None = None
        origin.open_answers += 1

    @property
    def length(self) -> int | None:
        match self.framing:
            case Framing.NONE:
                return 0
            case Framing.LENGTH:
                return len(self._answer.body)
            case _:
                return None

    async def read(self) -> bytes:
        if self._failed is not None:
            raise self._failed
        if self._ended:
            return b""
        if self._closed:
            raise OriginBodyCut(f"origin {self._origin.name}: the answer was closed before its end was read")
        if self.framing is Framing.NONE:
            self._end()
            return b""
        try:
            return await self._next_piece()
        except OriginError as error:
            self._failed = error
            self._slot.release()
            raise

    async def _next_piece(self) -> bytes:
        answer = self._answer
        if answer.pause_s:
            await asyncio.sleep(answer.pause_s)
        if answer.body_gate is not None and self._sent >= answer.gate_at:
            await self._wait_at_gate()
        cut = answer.cut_at is not None
        end = len(answer.body) if answer.cut_at is None else min(answer.cut_at, len(answer.body))
        if self._sent >= end:
            if cut and self.framing is not Framing.CLOSE:
                raise OriginBodyCut(f"origin {self._origin.name}: the connection ended inside the body")
            self._end()
            return b""
        upto = min(end, self._sent + answer.piece_bytes)
        if answer.body_gate is not None and self._sent < answer.gate_at:
            upto = min(upto, answer.gate_at)
        piece = answer.body[self._sent : upto]
        self._sent = upto
        return piece

    def _end(self) -> None:
        self._ended = True
        self._slot.release()

    async def _wait_at_gate(self) -> None:
        gate = self._answer.body_gate
        assert gate is not None, "there is a gate to wait at"
        try:
            async with asyncio.timeout(self._limit_s):
                await gate.passed()
        except TimeoutError as error:
            raise OriginTimeout(
                f"origin {self._origin.name}: nothing of its body for between_bytes_timeout_s"
            ) from error

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        self._origin.open_answers -= 1
        if self.tunnel is not None:
            self.tunnel.close()
        self._slot.release()


class MemoryTunnel:
    """`proxy.origin.port.Tunnel` that gives back in capitals what it is told."""

    def __init__(self) -> None:
        self._echoes: deque[bytes] = deque()
        self._ended = False
        self._changed = asyncio.Event()

    async def read(self) -> bytes:
        while not self._echoes:
            if self._ended:
                return b""
            self._changed.clear()
            await self._changed.wait()
        return self._echoes.popleft()

    async def write(self, octets: bytes) -> None:
        if self._ended:
            raise OriginBodyCut("the upgraded connection is closed")
        self._echoes.append(octets.upper())
        self._changed.set()

    def write_eof(self) -> None:
        self._ended = True
        self._changed.set()

    def close(self) -> None:
        self._echoes.clear()
        self.write_eof()
