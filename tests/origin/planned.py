"""Answers in the abstract, which an origin in memory and one behind a socket both can give."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from proxy.http.fields import Fields, Pair
from proxy.http.messages import ResponseHead
from proxy.origin.port import Framing
from tests.origin.waiting import Gate


@dataclass(frozen=True, slots=True)
class Answer:
    """What an origin does with one request.

    `fields` lack the framing, which is added. `body_gate` is waited at after `gate_at` octets of the body.
    `cut_at` breaks the connection after that many octets of the body, -1 before the head. `early` answers
    without reading the request's body. `upgrade` switches to that protocol and then echoes in capitals.
    `delay_s` passes on the loop's clock before the head, and `pause_s` (in memory only) before each piece.
    """

    status: int = 200
    fields: tuple[Pair, ...] = ()
    body: bytes = b""
    framing: Framing = Framing.LENGTH
    piece_bytes: int = 65536
    interim: tuple[ResponseHead, ...] = ()
    head_gate: Gate | None = None
    body_gate: Gate | None = None
    gate_at: int = 0
    cut_at: int | None = None
    early: bool = False
    upgrade: bytes | None = None
    delay_s: float = 0.0
    pause_s: float = 0.0

    def has_body(self, method: str) -> bool:
        """Whether content follows the head."""
        return method != "HEAD" and self.status not in (204, 304) and self.upgrade is None

    def head(self, method: str) -> ResponseHead:
        """The final head, framing included."""
        pairs = list(self.fields)
        if self.upgrade is not None:
            pairs += [(b"Connection", b"Upgrade"), (b"Upgrade", self.upgrade)]
            return ResponseHead(101, Fields(pairs), b"Switching Protocols")
        if self.status not in (204, 304):
            if self.framing is Framing.LENGTH:
                pairs.append((b"Content-Length", b"%d" % len(self.body)))
            elif self.framing is Framing.CHUNKED:
                pairs.append((b"Transfer-Encoding", b"chunked"))
        return ResponseHead(self.status, Fields(pairs), b"Because")


@dataclass(frozen=True, slots=True)
class Asked:
    """A request as the origin saw it, framing left out."""

    method: str
    target: bytes
    fields: Fields
    body: bytes


@dataclass(slots=True)
class Plan:
    """Which answer each request gets: by target in turn, the last one again and again; else a plain 200."""

    answers: dict[bytes, list[Answer]] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)
    begun: Counter[bytes] = field(default_factory=Counter)

    def on(self, target: bytes, *answers: Answer) -> None:
        """Give these answers to requests for the target."""
        self.answers.setdefault(target, []).extend(answers)

    def next_for(self, target: bytes) -> Answer:
        """The answer for a request that has just come."""
        self.begun[target] += 1
        left = self.answers.get(target)
        if not left:
            return Answer(body=b"plain")
        return left.pop(0) if len(left) > 1 else left[0]
