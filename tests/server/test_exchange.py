"""One exchange's facts: who left, and who waits to be told to go on."""

from __future__ import annotations

from proxy.coalesce.answer import Outcome
from tests.policy.heads import request
from tests.server.sinks import Sink, exchange_on


def test_a_client_that_left_before_its_answer_is_counted_as_gone() -> None:
    exchange, _ = exchange_on(Sink())
    exchange.client_gone()
    assert (exchange.outcome, exchange.aborted, exchange.reason) == (Outcome.GONE, True, "client-gone")


def test_an_answer_that_was_on_its_way_keeps_its_outcome_and_its_reason() -> None:
    exchange, _ = exchange_on(Sink())
    exchange.outcome, exchange.reason = Outcome.MISS, "why"
    exchange.writer.start(200, b"", length=5)
    exchange.client_gone()
    assert (exchange.outcome, exchange.aborted, exchange.reason) == (Outcome.MISS, True, "why")


def test_our_own_answer_that_was_on_its_way_stays_a_refusal() -> None:
    exchange, _ = exchange_on(Sink())
    exchange.writer.start(400, b"", length=5)
    exchange.client_gone()
    assert exchange.outcome is Outcome.REFUSED


def test_a_client_that_waits_is_told_once_to_go_on() -> None:
    sink = Sink()
    exchange, _ = exchange_on(sink, request("Expect: 100-continue", method="POST"))
    exchange.continue_now()
    assert sink.octets == b""
    exchange.waits_for_continue = True
    exchange.continue_now()
    exchange.continue_now()
    assert sink.octets == b"HTTP/1.1 100 Continue\r\n\r\n"
