"""Orders about writes on their way from the supervisor to the worker that has them, and what comes back.

An error of ours comes back by the name of its class, so that it has the same status on this side.
"""

from __future__ import annotations

from typing import Any, Final, get_args

from proxy.errors import (
    ClientError,
    LaneFull,
    ProxyError,
    QueueFull,
    QueueUnavailable,
    RefusedError,
    RouteNotFound,
)
from proxy.workers.frames import Message
from proxy.workers.plain import made, plain
from proxy.writes.orders import (
    Document,
    NoSuchWrite,
    NotNow,
    NoWrites,
    WritesDesk,
    WritesElsewhere,
    WritesOrder,
)

_ORDERS: Final[dict[str, Any]] = {kind.__name__: kind for kind in get_args(WritesOrder)}

_ERRORS: Final[dict[str, type[ProxyError]]] = {
    kind.__name__: kind
    for kind in (
        ClientError,
        LaneFull,
        NoSuchWrite,
        NoWrites,
        NotNow,
        QueueFull,
        QueueUnavailable,
        RefusedError,
        RouteNotFound,
        WritesElsewhere,
    )
}


def order_message(order: WritesOrder) -> Message:
    """The order as JSON values."""
    return {"order": type(order).__name__, "values": plain(order)}


def order_of(message: Message) -> WritesOrder:
    """The order that `order_message` was given."""
    order: WritesOrder = made(_ORDERS[message["order"]], message["values"])
    return order


async def answered(desk: WritesDesk, message: Message) -> Message:
    """What the worker answers."""
    try:
        return {"document": await desk.carry_out(order_of(message))}
    except ProxyError as error:
        known = (kind.__name__ for kind in type(error).__mro__ if kind.__name__ in _ERRORS)
        return {"error": next(known, RefusedError.__name__), "detail": str(error)}


def document_of(answer: Message) -> Document:
    """What the worker's desk answered. Raises: what it raised."""
    if "error" in answer:
        raise _ERRORS[answer["error"]](answer["detail"])
    document: Document = answer["document"]
    return document
