"""Validating several stored variants with one request, and what a HEAD tells of what is stored.

Source: RFC 9111 §4.3.1, §4.3.4, §4.3.5.
"""

from __future__ import annotations

from collections.abc import Sequence

from proxy.http.fields import Pair
from proxy.http.messages import RequestHead, ResponseHead
from proxy.policy.conditional import (
    entity_tag,
    revalidation_fields,
    same_representation,
    strongly_equal,
    weakly_equal,
)
from proxy.policy.content_coding import takes_coding_of
from proxy.policy.freshness import single_date
from proxy.policy.hop_by_hop import declared_length

MAX_TAGS = 16
"""Of one request; a server need not read a longer list, and 16 tags are a kibibyte, mostly."""

MAX_TAGS_BYTES = 4096
"""Of them together: half of what servers commonly take of a head."""


def validators_of(stored: Sequence[ResponseHead], *, own: bool = True) -> tuple[Pair, ...]:
    """The conditions of a request that validates every stored response of a key at once.

    One of them alone, if it is the request's `own` by its variant, is validated by all that it has. Of
    several, or of another variant, only entity tags can tell which one a 304 is about: a date would ask
    whether what is *not* stored has changed since. What goes beyond `MAX_TAGS` or `MAX_TAGS_BYTES`, the
    oldest first, is left out, and so is what has no tag.

    Source: RFC 9111 §4.3.1.
    """
    if own and len(stored) == 1:
        return revalidation_fields(stored[0])
    tags = (tag for head in reversed(stored) if (tag := entity_tag(head.fields)) is not None)
    sent: list[bytes] = []
    left_bytes = MAX_TAGS_BYTES
    for tag in list(dict.fromkeys(tags))[:MAX_TAGS]:
        left_bytes -= len(tag) + len(b", ")
        if left_bytes >= 0:
            sent.append(tag)
    return ((b"If-None-Match", b", ".join(reversed(sent))),) if sent else ()


def may_be_selected(request: RequestHead, stored: ResponseHead) -> bool:
    """Whether a stored response of another variant is offered to the origin as the answer to this request.

    It must have an entity tag and be what a 304 can stand for. Its content coding must be one that the
    client takes: the origin is to say so by its choice, but some give every coding of a response one tag.

    Source: RFC 9111 §4.3.1.
    """
    return stored.status == 200 and entity_tag(stored.fields) is not None and takes_coding_of(request, stored)


def selected_by(
    validation: ResponseHead, stored: Sequence[ResponseHead], *, own: bool = True, bare_matches: bool = True
) -> int | None:
    """Which of the stored responses a 304 is about, by its place; None if it matches none.

    `stored` are those whose validators were sent, the most recent last: of several that match it counts.
    A strong tag must be equal; a weak one may correspond; without a tag there must have been one response
    only, the request's `own`. None means to ask again without condition.

    Source: RFC 9111 §4.3.4.
    """
    if own and len(stored) == 1:
        return 0 if same_representation(stored[0], validation, bare_matches=bare_matches) else None
    new = entity_tag(validation.fields)
    if new is None:
        return None
    equal = weakly_equal if new.startswith(b"W/") else strongly_equal
    matching = [
        place
        for place, head in enumerate(stored)
        if (old := entity_tag(head.fields)) is not None and equal(new, old)
    ]
    return matching[-1] if matching else None


def head_freshens(stored: ResponseHead, head: ResponseHead, *, length: int) -> bool:
    """Whether an answer to HEAD tells that the stored answer to GET is still the right one.

    `length` is that of the stored body. Every validator that came must be equal, the declared length too;
    without any validator nothing is told. Which variant the HEAD selected is the caller's to know, and
    the merged head is judged again before it is believed.

    Source: RFC 9111 §4.3.5.
    """
    return head.status == stored.status == 200 and _validators_came(head) and _matches(stored, head, length)


def head_invalidates(stored: ResponseHead, head: ResponseHead, *, length: int) -> bool:
    """Whether an answer to HEAD tells that the stored answer to GET is another one: then it is stale.

    Source: RFC 9111 §4.3.5.
    """
    return head.status == 200 and not _matches(stored, head, length)


def _validators_came(head: ResponseHead) -> bool:
    return entity_tag(head.fields) is not None or b"last-modified" in head.fields


def _matches(stored: ResponseHead, head: ResponseHead, length: int) -> bool:
    declared = declared_length(head.fields)
    if declared is None and b"content-length" in head.fields:
        return False
    if declared is not None and declared != length:
        return False
    if b"etag" in head.fields and head.fields.get_all(b"etag") != stored.fields.get_all(b"etag"):
        return False
    if b"last-modified" not in head.fields:
        return True
    modified_at = single_date(head.fields, b"last-modified", now=0.0)
    return modified_at is not None and modified_at == single_date(stored.fields, b"last-modified", now=0.0)
