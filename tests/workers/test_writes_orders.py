"""Orders about writes between processes."""

from __future__ import annotations

import json

import pytest

from proxy.errors import LaneFull, ProxyError, PurgeNotDurable, QueueUnavailable, RefusedError
from proxy.workers.writes_orders import answered, document_of, order_message, order_of
from proxy.writes.orders import (
    CancelWrite,
    DiscardLetter,
    Document,
    ListDeadLetters,
    ListPausedKeys,
    ListWrites,
    NoSuchWrite,
    NotNow,
    PauseKey,
    ReadEvents,
    ReplayWrite,
    ResumeKey,
    ShowWrite,
    SkipHead,
    WritesOrder,
)
from proxy.writes.states import State


class AnyDesk:
    """Answers with the order, or fails."""

    def __init__(self, error: ProxyError | None = None) -> None:
        self._error = error
        self.orders: list[WritesOrder] = []

    async def carry_out(self, order: WritesOrder) -> Document:
        self.orders.append(order)
        if self._error is not None:
            raise self._error
        return {"told": repr(order)}


@pytest.mark.parametrize(
    "order",
    [
        ListWrites((State.QUEUED, State.RETRY_WAIT), key="/a\udc80", after="w1", limit=7),
        ListWrites(tuple(State)),
        ShowWrite("w1"),
        ListDeadLetters("w1", 3),
        ListPausedKeys(),
        PauseKey("/a", "why"),
        ResumeKey("é"),
        SkipHead("/a"),
        CancelWrite("w1"),
        ReplayWrite("w1"),
        DiscardLetter("w1"),
        ReadEvents(),
        ReadEvents({}, 5, 1.5),
        ReadEvents({0: 2**50, 63: 1}),
    ],
    ids=lambda order: type(order).__name__,
)
async def test_an_order_arrives_as_it_was_given(order: WritesOrder) -> None:
    message = json.loads(json.dumps(order_message(order)))
    assert order_of(message) == order
    desk = AnyDesk()
    assert document_of(json.loads(json.dumps(await answered(desk, message)))) == {"told": repr(order)}
    assert desk.orders == [order]


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (NoSuchWrite("a"), NoSuchWrite),
        (NotNow("a"), NotNow),
        (LaneFull("a"), LaneFull),
        (QueueUnavailable("a"), QueueUnavailable),
        (PurgeNotDurable("a"), RefusedError),
    ],
)
async def test_an_error_is_raised_as_it_was_there(error: ProxyError, kind: type[ProxyError]) -> None:
    answer = await answered(AnyDesk(error), order_message(ShowWrite("w1")))
    with pytest.raises(ProxyError, match=r"^a$") as raised:
        document_of(answer)
    assert type(raised.value) is kind
