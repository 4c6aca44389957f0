"""How a request is told to the worker that has the writes, and what that one tells beside its answer.

The request goes as its client sent it. What belongs to a connection (framing, `Connection`, `Expect`) is the
way's own to write, and what the client sent of it is told beside, with its address: in one field, behind all
that the client sent. That worker takes the *last* of that name; it is read on the workers' socket alone, so
that nobody else can say who he is.

The answer comes back with one field more, likewise: what became of the exchange, for the counters
and the log of the worker that has the client.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from proxy.http.fields import Fields, Pair
from proxy.http.messages import RequestHead
from proxy.peers.told_request import request_told, told_of
from proxy.policy.forwarding import ClientAddress

FIELD: Final = b"Lockgate-Relayed"
WORD: Final = b"Lockgate-Outcome"
MOVED: Final = "moved"
"""The outcome of what was not taken in, since another process gets the writes: it is to be brought there."""

_OF_THE_CONNECTION: Final = frozenset(
    (b"content-length", b"transfer-encoding", b"connection", b"upgrade", b"expect", b"te", b"trailer")
)
_LONGEST_REASON: Final = 1000


@dataclass(frozen=True, slots=True)
class Relayed:
    """A client's request as another worker has it: all fields, and who sent it."""

    request: RequestHead
    client: ClientAddress


@dataclass(frozen=True, slots=True)
class Told:
    """What became of an exchange: an outcome as the ledger names it, seconds at the origin, why it failed."""

    outcome: str
    origin_s: float = 0.0
    reason: str = ""


def relayed_fields(relayed: Relayed) -> Fields:
    """The fields to send, without Host, framing and what else the connection writes itself."""
    request = relayed.request
    beside = [pair for pair in request.fields if pair[0].lower() in _OF_THE_CONNECTION]
    told = {
        **told_of(request, relayed.client),
        "beside": [[name.decode("latin-1"), value.decode("latin-1")] for name, value in beside],
    }
    sent = request.fields.without((b"host", *_OF_THE_CONNECTION))
    return sent.with_added((FIELD, json.dumps(told, separators=(",", ":")).encode("ascii")))


def heard_relayed(method: str, target: str, pairs: Sequence[Pair]) -> Relayed:
    """The request in a head, as the parser cut it. Raises: ValueError if nobody relayed it."""
    place = _last(FIELD, pairs)
    if place is None:
        raise ValueError(f"a relayed request has a {FIELD.decode()}")
    told = json.loads(pairs[place][1])
    try:
        sent = (*pairs[:place], *pairs[place + 1 :])
        fields = [pair for pair in sent if pair[0].lower() not in (b"host", *_OF_THE_CONNECTION)]
        fields += ((name.encode("latin-1"), value.encode("latin-1")) for name, value in told["beside"])
        return Relayed(*request_told(told, method=method, target=target, fields=fields))
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"what is told of a relayed request lacks {error}") from error


def told_field(told: Told) -> Pair:
    """The field that goes last in the answer."""
    values = {"outcome": told.outcome, "origin_s": told.origin_s, "reason": told.reason[:_LONGEST_REASON]}
    return WORD, json.dumps(values, separators=(",", ":")).encode("ascii")


def told_in(pairs: Sequence[Pair]) -> tuple[Told, tuple[Pair, ...]]:
    """What was told, and the fields without it. Raises: ValueError if nothing was."""
    place = _last(WORD, pairs)
    if place is None:
        raise ValueError(f"the answer to a relayed request has a {WORD.decode()}")
    values: dict[str, Any] = json.loads(pairs[place][1])
    try:
        told = Told(str(values["outcome"]), float(values["origin_s"]), str(values["reason"]))
    except (KeyError, TypeError) as error:
        raise ValueError(f"what is told of a relayed exchange lacks {error}") from error
    return told, (*pairs[:place], *pairs[place + 1 :])


def _last(name: bytes, pairs: Sequence[Pair]) -> int | None:
    """Only the connection's own fields are written behind it."""
    return max((index for index, pair in enumerate(pairs) if pair[0] == name), default=None)
