"""A delivery of the journal is one as any other, and knows its body's file."""

from __future__ import annotations

from proxy.writes.embedded.live import EmbeddedDelivery
from proxy.writes.states import State
from tests.writes.making import make_write


def test_a_delivery_that_was_started_before_is_redelivered() -> None:
    delivery = EmbeddedDelivery(
        make_write(), position=7, epoch=3, attempts=2, started_at=1.5, body_name="body"
    )
    assert (delivery.redelivered, delivery.body_name, delivery.spooling) == (True, "body", None)
    status = delivery.status()
    assert (status.state, status.attempts, status.started_at, status.position) == (State.STARTED, 2, 1.5, 7)
