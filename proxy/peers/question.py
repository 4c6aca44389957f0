"""What a worker asks the owner of a key, and how that is written: a request on a Unix socket.

The request is the client's own, less what is the leader's alone: the owner does to it what it does to the
requests of its own clients (claims about addresses, rules for fields, Via), and would do it twice to a
request that is ready for the origin. What the owner cannot see of the client goes in one field more, the
last: the owner takes the *last* of that name, whatever fields a client has sent, so that no client can put
words into a worker's mouth, and none of a client's fields is lost.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from proxy.config.settings import RouteSettings
from proxy.http.fields import Pair
from proxy.http.messages import RequestHead
from proxy.peers.told_request import request_told, told_of
from proxy.policy.forwarding import ClientAddress, fields_for_owner
from proxy.policy.keys import CacheKey

FIELD = b"Lockgate-Question"

NOBODY = ClientAddress(None, "http")


@dataclass(frozen=True, slots=True)
class Question:
    """A request of which the owner of `key` is asked.

    `request` is as the client sent it, with the fields that are to be sent. `alone` says that the answer is
    for this client only, unless it is stored; `stored_only` that nothing but a stored answer is wanted. With
    a `slice_number` it is about that slice, and `key` is the slice's. `newer_than_mono` is when what the
    asker has was asked for: the same again is no answer.
    """

    key: CacheKey
    request: RequestHead
    client: ClientAddress
    alone: bool = False
    stored_only: bool = False
    slice_number: int | None = None
    newer_than_mono: float | None = None


@dataclass(frozen=True, slots=True)
class Heard:
    """A question as the owner reads it, or a mere look whether it lives (`request` is None).

    `slot` is the asker's, `arrangement` what both must have in common, see `Peers`.
    """

    slot: int
    arrangement: str
    request: RequestHead | None = None
    client: ClientAddress = NOBODY
    stored_only: bool = False
    slice_number: int | None = None
    alone: bool = False
    newer_than_mono: float | None = None


def question_of(
    request: RequestHead,
    *,
    key: CacheKey,
    route: RouteSettings,
    client: ClientAddress,
    conditions: tuple[Pair, ...],
    alone: bool,
    stored_only: bool = False,
    slice_number: int | None = None,
    newer_than_mono: float | None = None,
) -> Question:
    """The question for a client's request; always for a GET, which is what flights are for."""
    fields = fields_for_owner(request, route=route, leader_of_flight=not alone, revalidate=conditions)
    asked = RequestHead(
        "GET", request.target, fields, request.scheme, request.authority, request.minor_version
    )
    return Question(key, asked, client, alone, stored_only, slice_number, newer_than_mono)


def question_field(question: Question, *, slot: int, arrangement: str) -> Pair:
    """The field that goes last."""
    told = {
        "slot": slot,
        "arrangement": arrangement,
        **told_of(question.request, question.client),
        "alone": question.alone,
        "stored_only": question.stored_only,
        "newer_than": question.newer_than_mono,
        "slice": question.slice_number,
    }
    return FIELD, json.dumps(told, separators=(",", ":")).encode("ascii")


def look_field(*, slot: int) -> Pair:
    """The field of a request that only wants to see whether anybody is there."""
    return FIELD, json.dumps({"slot": slot, "arrangement": ""}).encode("ascii")


def heard(method: str, target: str, pairs: Sequence[Pair]) -> Heard:
    """The question in a request's head, as the parser cut it. Raises: ValueError if there is none."""
    if not pairs or pairs[-1][0] != FIELD:
        raise ValueError(f"the last field of a worker's request is {FIELD.decode()}")
    told = json.loads(pairs[-1][1])
    try:
        slot, arrangement = int(told["slot"]), str(told["arrangement"])
        if "authority" not in told:
            return Heard(slot, arrangement)
        sent = pairs[1:-1]  # the first is Host, as the connection needs it
        request, client = request_told(told, method=method, target=target, fields=sent)
        return Heard(
            slot,
            arrangement,
            request,
            client,
            stored_only=bool(told["stored_only"]),
            slice_number=None if told["slice"] is None else int(told["slice"]),
            alone=bool(told["alone"]),
            newer_than_mono=None if told["newer_than"] is None else float(told["newer_than"]),
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"a worker's question lacks {error}") from error
