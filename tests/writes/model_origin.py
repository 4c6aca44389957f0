"""An origin that applies writes, and keeps the truth: what began, was applied and ended, when.

What it does with the next request is laid down before. It goes on with a request whose sender has left, as
real ones do, but never for longer than the time-out that the lanes reckon with.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, field
from itertools import pairwise

from proxy.clock import Clock
from proxy.errors import OriginProtocolError, OriginUnreachable
from proxy.http.fields import Fields
from proxy.http.messages import ResponseHead
from proxy.origin.port import ForwardRequest, Framing, OnInformational

TIMEOUT_S = 10.0
"""The longest that a request is worked on; the policy's `origin_timeout_s`."""


@dataclass(frozen=True, slots=True)
class Act:
    """What becomes of one request. `status` 0 is no answer: the connection is cut after `delay_s`.

    `late` has it applied at the end of its time, whatever was answered; `hangs` never answers.
    """

    status: int = 200
    delay_s: float = 0.01
    applies: bool = True
    late: bool = False
    hangs: bool = False
    unreachable: bool = False
    retry_after: bytes | None = None
    body: bytes = b"answer"
    cut: bool = False


@dataclass(eq=False)
class Served:
    """One request that reached the origin."""

    write_id: str
    began_mono: float
    act: Act
    ended_mono: float | None = None
    applied: bool = False


@dataclass(eq=False)
class ModelResponse:
    """`proxy.origin.port.OriginResponse`."""

    head: ResponseHead
    pieces: deque[bytes]
    cut: bool
    closed: bool = False
    tunnel: None = None

    @property
    def framing(self) -> Framing:
        return Framing.LENGTH

    @property
    def length(self) -> int:
        return sum(map(len, self.pieces))

    async def read(self) -> bytes:
        assert not self.closed, "read after it was closed"
        if self.pieces:
            return self.pieces.popleft()
        if self.cut:
            raise OriginProtocolError("the body was cut")
        return b""

    def close(self) -> None:
        self.closed = True


@dataclass(eq=False)
class ModelOrigin:
    """`proxy.origin.port.Origin`: acts are taken in turn, `usual` when there are none left."""

    clock: Clock
    name: str = "model"
    usual: Act = Act()
    acts: deque[Act] = field(default_factory=deque)
    served: list[Served] = field(default_factory=list)
    applied: list[str] = field(default_factory=list)
    """Ids in the order in which they were applied; one that was applied twice is there twice."""
    responses: list[ModelResponse] = field(default_factory=list)
    unsent: int = 0
    """Requests that were stopped at the last moment."""

    def __post_init__(self) -> None:
        self._working: set[asyncio.Task[None]] = set()

    async def send(
        self, request: ForwardRequest, *, on_informational: OnInformational | None = None
    ) -> ModelResponse:
        act = self.acts.popleft() if self.acts else self.usual
        if act.unreachable:
            raise OriginUnreachable("the model cannot be reached")
        if request.before_sending is not None:
            try:
                request.before_sending()
            except BaseException:
                self.unsent += 1
                raise
        key = request.fields.get(b"idempotency-key") or b""
        served = Served(key.decode().strip('"'), self.clock.mono(), act)
        self.served.append(served)
        task = asyncio.get_running_loop().create_task(self._work(served))
        self._working.add(task)
        task.add_done_callback(self._working.discard)
        if act.hangs:
            await asyncio.get_running_loop().create_future()
        await asyncio.sleep(act.delay_s)
        if not act.status:
            raise OriginProtocolError("the connection ended without an answer")
        pairs = [] if act.retry_after is None else [(b"Retry-After", act.retry_after)]
        response = ModelResponse(ResponseHead(act.status, Fields(pairs)), deque([act.body]), act.cut)
        self.responses.append(response)
        return response

    async def _work(self, served: Served) -> None:
        act = served.act
        # A millisecond before the sender hears of it: an answer comes after what it tells.
        if act.status == 202:  # it is over for its sender, and done later
            await asyncio.sleep(max(0.0, act.delay_s - 0.001))
            served.ended_mono = self.clock.mono()
        await asyncio.sleep(TIMEOUT_S - 0.1 if act.late or act.hangs else max(0.0, act.delay_s - 0.001))
        if act.applies:
            served.applied = True
            self.applied.append(served.write_id)
        if served.ended_mono is None:
            served.ended_mono = self.clock.mono()

    def overlaps(self, keys_of: dict[str, tuple[str, ...]]) -> list[tuple[Served, Served]]:
        """Pairs of requests of one key of which one began before the other had ended."""
        by_key: dict[str, list[Served]] = {}
        for served in self.served:
            for key in keys_of[served.write_id]:
                by_key.setdefault(key, []).append(served)
        return [
            (one, other)
            for lane in by_key.values()
            for one, other in pairwise(lane)
            if one.ended_mono is None or other.began_mono < one.ended_mono
        ]
