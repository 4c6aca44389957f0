"""One write is sent once, and read."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any

import pytest

from proxy.errors import RefusedError
from proxy.http.fields import Fields
from proxy.origin.port import ForwardRequest
from proxy.writes.forwarding import Attempt, Forwarder, retry_after
from proxy.writes.outcomes import Kind
from proxy.writes.policy import WritePolicy
from tests.simulation.virtual_time import VirtualClock, run_virtually
from tests.writes.making import make_write
from tests.writes.model_origin import Act, ModelOrigin, ModelResponse

POLICY = WritePolicy(origin="model", origin_timeout_s=5.0, max_answer_bytes=6)

Play = Callable[[ModelOrigin, Forwarder], Coroutine[Any, Any, None]]


class Recording(ModelOrigin):
    """Keeps the requests, their bodies read."""

    async def send(self, request: ForwardRequest, **parts: Any) -> ModelResponse:
        self.request = request
        self.body = b"" if request.body is None else await request.body.read()
        return await super().send(request, **parts)


def play(acts: Play) -> None:
    async def run() -> None:
        clock = VirtualClock(asyncio.get_running_loop())
        origin = Recording(clock)
        await acts(origin, Forwarder({"model": origin}, clock=clock))
        await asyncio.sleep(30.0)

    run_virtually(run())


async def _send(forwarder: Forwarder, policy: WritePolicy = POLICY, **parts: Any) -> Attempt:
    return await forwarder.send(make_write(write_id="w1", **parts), policy, before_sending=lambda: None)


@pytest.mark.parametrize(
    ("client_key", "send_key", "sent"),
    [(None, True, b'"w1"'), (b'"theirs"', True, b'"theirs"'), (b'"theirs"', False, None)],
)
def test_the_origin_gets_a_key(client_key: bytes | None, send_key: bool, sent: bytes | None) -> None:
    async def acts(origin: Any, forwarder: Forwarder) -> None:
        await _send(forwarder, replace(POLICY, send_key=send_key), client_key=client_key, body=b"new")
        assert origin.request.fields.get(b"idempotency-key") == sent
        assert (origin.body, origin.request.may_repeat) == (b"new", False)

    play(acts)


def test_an_answer_is_read_by_its_head() -> None:
    async def acts(origin: ModelOrigin, forwarder: Forwarder) -> None:
        origin.acts.append(Act(503, retry_after=b"7"))
        attempt = await _send(forwarder)
        assert (attempt.reading.kind, attempt.reading.retry_after_s) == (Kind.LATER, 7.0)
        assert attempt.head is not None

    play(acts)


@pytest.mark.parametrize(
    ("act", "kind"),
    [
        (Act(unreachable=True), Kind.NOT_SENT),
        (Act(0), Kind.UNKNOWN),
        (Act(hangs=True), Kind.UNKNOWN),
    ],
)
def test_no_answer_is_read_by_what_was_sent(act: Act, kind: Kind) -> None:
    async def acts(origin: ModelOrigin, forwarder: Forwarder) -> None:
        origin.acts.append(act)
        attempt = await _send(forwarder)
        assert (attempt.reading.kind, attempt.response) == (kind, None)

    play(acts)


def test_what_is_stopped_at_the_last_moment_was_not_sent() -> None:
    async def acts(origin: ModelOrigin, forwarder: Forwarder) -> None:
        def stop() -> None:
            raise RefusedError("the lease is over")

        attempt = await forwarder.send(make_write(), POLICY, before_sending=stop)
        assert attempt.reading.kind is Kind.NOT_SENT
        assert not origin.served

    play(acts)


@pytest.mark.parametrize(
    ("body", "cut", "leave_rest", "kept", "whole", "rest"),
    [
        pytest.param(b"answer", False, True, b"answer", True, False, id="all-of-it"),
        pytest.param(b"answer", True, True, b"answer", False, False, id="cut"),
        pytest.param(b"answers", False, True, b"answers", False, True, id="too-long-for-one-who-waits"),
        pytest.param(b"answers", False, False, b"answers", False, False, id="too-long-for-nobody"),
    ],
)
def test_a_body_is_kept_up_to_a_limit(
    body: bytes, cut: bool, leave_rest: bool, kept: bytes, whole: bool, rest: bool
) -> None:
    async def acts(origin: ModelOrigin, forwarder: Forwarder) -> None:
        origin.acts.append(Act(body=body, cut=cut))
        attempt = await _send(forwarder)
        assert attempt.response is not None
        found = await forwarder.keep(attempt, POLICY, leave_rest=leave_rest)
        assert (found.octets, found.whole, found.rest is not None) == (kept, whole, rest)
        assert origin.responses[0].closed is not rest

    play(acts)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (b"12", 12.0),
        (b"1234567890", None),
        (b"soon", None),
        (b"Sun, 06 Nov 1994 08:49:47 GMT", 10.0),
        (b"Sun, 06 Nov 1994 08:00:00 GMT", 0.0),
    ],
)
def test_retry_after_is_seconds_or_a_date(value: bytes, seconds: float | None) -> None:
    assert retry_after(Fields([(b"Retry-After", value)]), now=784111777.0) == seconds


def test_without_retry_after_there_is_none() -> None:
    assert retry_after(Fields(), now=0.0) is None


def test_an_origin_that_is_no_longer_named_was_sent_nothing() -> None:
    async def acts(_origin: ModelOrigin, forwarder: Forwarder) -> None:
        policy = replace(POLICY, origin="gone")
        attempt = await forwarder.send(make_write(), policy, before_sending=lambda: None)
        assert attempt.reading.kind is Kind.NOT_SENT
        assert "no origin is called gone" in attempt.reading.detail

    play(acts)
