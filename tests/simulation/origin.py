"""The origin of the simulation: each answer carries who asked for it, and which version it is of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from proxy.config.settings import OriginSettings
from proxy.errors import OriginError, OriginUnreachable
from proxy.http.dates import format_http_date
from proxy.http.fields import Pair
from proxy.origin.port import ForwardRequest, Framing, OnInformational
from tests.origin.memory_origin import MemoryOrigin, MemoryResponse
from tests.origin.planned import Answer
from tests.simulation import kinds
from tests.simulation.kinds import Kind
from tests.simulation.schedule import KEYS, Spec
from tests.simulation.virtual_time import VirtualClock

if TYPE_CHECKING:
    from tests.simulation.client import Client

FIRST_BYTE_TIMEOUT_S = 4.0
QUEUE_TIMEOUT_S = 4.0
HEURISTIC_AGE_S = 50.0


@dataclass(slots=True, eq=False)
class Forwarded:
    """A forward request as it was built, and what the origin did with it.

    `order` is its place among all that happened; `body` is what a whole answer has, and `broken` says
    that this one does not get there. `tag` is the entity tag of what it selects, whether that is told.
    """

    number: int
    order: int
    client: Client
    alone: bool
    validates: bool
    built_at: float
    tag: bytes = b""
    kind: Kind = kinds.UNMARKED
    version: int = 0
    status: int = 0
    body: bytes = b""
    broken: bool = False
    mismatched: bool = False
    head_at: float | None = None
    head_order: int | None = None

    def __repr__(self) -> str:
        return (
            f"<forward {self.number} for {self.client!r}: {self.kind} {self.status} version {self.version}>"
        )

    def marks(self, client: Client) -> bool:
        """Whether what came of it lets the next requests for the key that are like this client's go alone."""
        traits = self.client.traits
        if traits.has(b"authorization") or self.status not in ((200, 304) if self.validates else (200,)):
            return False
        with_cookie = self.kind is kinds.ZERO and traits.has(b"cookie")
        return self.kind.marks or with_cookie or (self.guessed and client.traits.has(b"cookie"))

    @property
    def guessed(self) -> bool:
        """Whether it is for its client alone since the lifetime is guessed and a cookie was sent."""
        return self.kind is kinds.HEURISTIC and self.client.traits.has(b"cookie")


class SimulatedOrigin(MemoryOrigin):
    """Answers by the schedule; `failures` are the keys and times at which it was of no use."""

    def __init__(self, *, clock: VirtualClock, concurrency: int) -> None:
        super().__init__(
            settings=OriginSettings(
                addresses=("http://memory.example",),
                max_concurrency=concurrency,
                queue_timeout_s=QUEUE_TIMEOUT_S,
                first_byte_timeout_s=FIRST_BYTE_TIMEOUT_S,
            )
        )
        self.forwards: list[Forwarded] = []
        self.failures: list[tuple[int, float]] = []
        self.versions = [1] * KEYS
        self.answers: list[tuple[Spec, ...]] = [(Spec(),)] * KEYS
        self.order = 0
        self.heads = 0
        self._clock = clock

    def next_order(self) -> int:
        """Numbers what happens, one after the other."""
        self.order += 1
        return self.order

    def build(self, client: Client, *, alone: bool, conditions: tuple[Pair, ...]) -> ForwardRequest:
        """A forward request for this client, noted."""
        forwarded = Forwarded(
            number=len(self.forwards),
            order=self.next_order(),
            client=client,
            alone=alone,
            validates=bool(conditions),
            built_at=self._clock.mono(),
        )
        self.forwards.append(forwarded)
        own = (b"x-forward", b"%d" % forwarded.number)
        drop = () if alone and not conditions else (b"range", b"if-none-match")
        fields = client.request.fields.without((*drop, b"cache-control")).with_added(own, *conditions)
        return ForwardRequest(client.request.method, client.request.target, fields)

    async def send(
        self, request: ForwardRequest, *, on_informational: OnInformational | None = None
    ) -> MemoryResponse:
        forwarded = self.forwards[int(request.fields.get(b"x-forward") or b"")]
        key = forwarded.client.key
        self.heads += request.method == "HEAD"
        try:
            response = await super().send(request)
        except OriginError:
            self.failures.append((key, self._clock.mono()))
            raise
        forwarded.head_at, forwarded.head_order = self._clock.mono(), self.next_order()
        if forwarded.status >= 500:
            self.failures.append((key, self._clock.mono()))
        return response

    def answer_for(self, request: ForwardRequest) -> Answer:
        forwarded = self.forwards[int(request.fields.get(b"x-forward") or b"")]
        key = forwarded.client.key
        specs = self.answers[key]
        spec = specs[0]
        if len(specs) > 1:
            self.answers[key] = specs[1:]
        forwarded.kind, forwarded.version = spec.kind, self.versions[key]
        match spec.kind:
            case kinds.REFUSES:
                raise OriginUnreachable("the origin refuses")
            case kinds.HANGS:
                return Answer(delay_s=1_000.0)
            case kinds.CLOSES_AT_ONCE:
                return Answer(delay_s=spec.delay_s, cut_at=-1)
        forwarded.tag = tag = b'"%d.%d.%b"' % (key, forwarded.version, self._representation(spec, request))
        if spec.kind.validator and tag in (request.fields.get(b"if-none-match") or b"").split(b", "):
            return self._validated(forwarded, spec, tag)
        return self._whole(forwarded, spec, tag, request.fields.get(b"range"))

    def _representation(self, spec: Spec, request: ForwardRequest) -> bytes:
        """Of what varies on the language there is one in German, and one for all others."""
        name = spec.kind.name.encode()
        return name + b".de" if spec.kind.varies and request.fields.get(b"x-lang") == b"de" else name

    def _validated(self, forwarded: Forwarded, spec: Spec, tag: bytes) -> Answer:
        forwarded.status = 304
        own = (b"X-Validated", b"%d" % forwarded.number)
        if spec.kind.on_validation == "other" and forwarded.validates:
            forwarded.mismatched, forwarded.tag = True, b'"other"'
            fields = (own, (b"ETag", b'"other"'))
        elif spec.kind.on_validation == "private":
            forwarded.kind = kinds.PRIVATE
            fields = (own, (b"ETag", tag), (b"Cache-Control", b"private"))
        else:
            fields = (own, (b"ETag", tag), *self._fields_of(spec.kind))
        return Answer(304, fields, delay_s=spec.delay_s)

    def _whole(self, forwarded: Forwarded, spec: Spec, tag: bytes, wanted: bytes | None) -> Answer:
        size = spec.size
        token = b"<%d of %d>" % (forwarded.number, forwarded.version)
        body = (token * (size // len(token) + 1))[:size]
        status = spec.kind.status
        if wanted is not None and status == 200:
            first, _, last = wanted.removeprefix(b"bytes=").partition(b"-")
            begin = int(first) if first else max(0, size - int(last))
            if begin < size:
                status, body = 206, body[begin : int(last) + 1 if first else size]
        framing = Framing.CLOSE if spec.kind.closes else Framing.CHUNKED if spec.chunked else Framing.LENGTH
        cut_at = None if spec.cut is None else int(spec.cut * len(body))
        forwarded.status, forwarded.body = status, body
        if cut_at is not None and framing is Framing.CLOSE:
            forwarded.body = body[:cut_at]
        elif cut_at is not None:
            forwarded.broken = True
        own = (b"X-Body", b"%d" % forwarded.number)
        labels = (b"Surrogate-Key", b"tag%d" % forwarded.client.key)
        validator = ((b"ETag", tag),) if spec.kind.validator else ()
        return Answer(
            status,
            (own, labels, *validator, *self._fields_of(spec.kind)),
            body,
            framing,
            piece_bytes=max(300, size // 10),
            cut_at=cut_at,
            delay_s=spec.delay_s,
            pause_s=spec.pause_s,
        )

    def _fields_of(self, kind: Kind) -> tuple[Pair, ...]:
        if kind is not kinds.HEURISTIC:
            return kind.fields
        return ((b"Last-Modified", format_http_date(self._clock.now() - HEURISTIC_AGE_S)),)
