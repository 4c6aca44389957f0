"""A shared answer as one client gets it: conditions, ranges, Age, Cache-Status, the body as it comes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest

from proxy.cache.entry import HeadMemo
from proxy.coalesce.answer import Answer, Outcome
from proxy.coalesce.body import SharedBody
from proxy.compression.compressor import Compressor
from proxy.config.settings import CacheSettings, CompressorSettings, RouteSettings
from proxy.errors import OriginBodyCut
from proxy.http.dates import format_http_date
from proxy.http.messages import RequestHead, ResponseHead
from proxy.policy.cache_status import ForwardReason
from proxy.server.delivery import OWN_LINES, WHOLE_BELOW_BYTES, Delivery
from tests.policy.heads import NOW, request, response, route
from tests.server.sinks import Sink, exchange_on

ROUTE = route()
KEY = b"key"
Deliver = Callable[..., "asyncio.Future[None]"]


@pytest.fixture
async def delivery() -> AsyncIterator[Delivery]:
    compressor = Compressor(CompressorSettings())
    yield Delivery(CacheSettings(cache_status_key=True), compressor=compressor)
    compressor.close()


def answer_of(
    body: SharedBody,
    head: ResponseHead | None = None,
    *,
    outcome: Outcome = Outcome.HIT,
    age_s: float | None = 7.9,
) -> Answer:
    head = head or response('ETag: "x" | Age: 3')
    return Answer(head, body, outcome, HeadMemo(), NOW, age_s=age_s, ttl_s=52.1)


def whole(octets: bytes = b"0123456789") -> SharedBody:
    return SharedBody.complete([octets])


async def delivered(delivery: Delivery, answer: Answer, asked: RequestHead | None = None) -> Sink:
    sink = Sink()
    exchange, head = exchange_on(sink, asked)
    await delivery.deliver(exchange, head, answer, route=ROUTE, key=KEY, now=NOW)
    return sink


async def test_a_whole_body_goes_out_in_one_write(delivery: Delivery) -> None:
    sink = await delivered(delivery, answer_of(whole()))
    assert len(sink.written) == 1
    assert (sink.head[0], sink.body) == (b"HTTP/1.1 200 OK", b"0123456789")
    assert b"Content-Length: 10" in sink.head


async def test_our_age_takes_the_place_of_the_origins(delivery: Delivery) -> None:
    sink = await delivered(delivery, answer_of(whole()))
    assert [line for line in sink.head if line.startswith(b"Age:")] == [b"Age: 7"]
    kept = await delivered(delivery, answer_of(whole(), age_s=None))
    assert [line for line in kept.head if line.startswith(b"Age:")] == [b"Age: 3"]


async def test_cache_status_says_how_and_for_which_key(delivery: Delivery) -> None:
    sink = await delivered(delivery, answer_of(whole()))
    (status,) = [line for line in sink.head if line.startswith(b"Cache-Status:")]
    assert status.startswith(b"Cache-Status: Lockgate; hit; ttl=52; key=")
    collapsed = answer_of(whole(), outcome=Outcome.COLLAPSED)
    collapsed.forward, collapsed.collapsed = ForwardReason.URI_MISS, True
    sink = await delivered(delivery, collapsed)
    (status,) = [line for line in sink.head if line.startswith(b"Cache-Status:")]
    assert b"fwd=uri-miss" in status
    assert b"collapsed" in status
    assert b"hit" not in status


async def test_a_condition_that_holds_gets_304_without_a_body(delivery: Delivery) -> None:
    sink = await delivered(delivery, answer_of(whole()), request('If-None-Match: "x"'))
    assert (sink.head[0], sink.body) == (b"HTTP/1.1 304 Not Modified", b"")
    assert not any(line.startswith(b"Content-Length") for line in sink.head)


@pytest.mark.parametrize(
    ("wanted", "status", "body"),
    [
        pytest.param("bytes=2-4", b"206", b"234", id="one"),
        pytest.param("bytes=-3", b"206", b"789", id="suffix"),
        pytest.param("bytes=8-", b"206", b"89", id="open"),
        pytest.param("bytes=10-", b"416", b"", id="behind-the-end"),
        pytest.param("lines=1-2", b"200", b"0123456789", id="unknown-unit"),
        pytest.param("bytes=x", b"200", b"0123456789", id="broken"),
    ],
)
async def test_ranges_are_cut_out_of_the_stored_body(
    delivery: Delivery, wanted: str, status: bytes, body: bytes
) -> None:
    sink = await delivered(delivery, answer_of(whole()), request(f"Range: {wanted}"))
    assert sink.head[0].split()[1] == status
    assert sink.body == body


async def test_head_gets_the_length_and_nothing_of_the_body(delivery: Delivery) -> None:
    sink = await delivered(delivery, answer_of(whole()), request(method="HEAD"))
    assert b"Content-Length: 10" in sink.head
    assert sink.body == b""


async def test_a_body_that_is_arriving_is_passed_on_as_it_comes(delivery: Delivery) -> None:
    body = SharedBody(expected_bytes=10)
    sink = Sink()
    exchange, head = exchange_on(sink)
    running = asyncio.ensure_future(
        delivery.deliver(exchange, head, answer_of(body), route=ROUTE, key=KEY, now=NOW)
    )
    body.append(b"01234")
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert sink.body == b"01234"
    body.append(b"56789")
    body.finish()
    await running
    assert sink.body == b"0123456789"


async def test_a_body_of_unknown_length_is_chunked_and_one_that_ends_with_its_connection_is_not(
    delivery: Delivery,
) -> None:
    for ends_with_connection, expected in ((False, b"5\r\nhello\r\n0\r\n\r\n"), (True, b"hello")):
        body = SharedBody()
        body.ends_with_connection = ends_with_connection
        sink = Sink()
        exchange, head = exchange_on(sink)
        running = asyncio.ensure_future(
            delivery.deliver(exchange, head, answer_of(body), route=ROUTE, key=KEY, now=NOW)
        )
        await asyncio.sleep(0)
        body.append(b"hello")
        body.finish()
        await running
        assert sink.body == expected
        assert exchange.writer.keep_alive is not ends_with_connection


async def test_a_body_that_fails_raises_to_whoever_cuts_the_connection(delivery: Delivery) -> None:
    body = SharedBody(expected_bytes=10)
    exchange, head = exchange_on(Sink())
    running = asyncio.ensure_future(
        delivery.deliver(exchange, head, answer_of(body), route=ROUTE, key=KEY, now=NOW)
    )
    await asyncio.sleep(0)
    body.append(b"01234")
    body.fail(OriginBodyCut("cut"))
    with pytest.raises(OriginBodyCut):
        await running
    assert exchange.writer.head_sent


async def test_at_once_is_refused_where_something_has_to_be_waited_for(delivery: Delivery) -> None:
    large = whole(b"a" * (WHOLE_BELOW_BYTES + 1))
    for body, expected in ((whole(), True), (SharedBody(expected_bytes=10), False), (large, False)):
        sink = Sink()
        exchange, head = exchange_on(sink)
        done = delivery.at_once(exchange, head, answer_of(body), route=ROUTE, key=KEY, now=NOW)
        assert done is expected
        assert bool(sink.written) is expected


async def test_a_large_body_goes_out_piece_by_piece(delivery: Delivery) -> None:
    half = b"a" * WHOLE_BELOW_BYTES
    sink = await delivered(delivery, answer_of(SharedBody.complete([half, half])))
    assert len(sink.written) > 2
    assert sink.body == half + half


# One head may be that of many answers: its lines are written once.


async def lines_of(
    delivery: Delivery,
    head: ResponseHead,
    settings: RouteSettings = ROUTE,
    *,
    at: float = NOW,
    body: bytes = b"0123456789",
    **more: float | None,
) -> list[bytes]:
    """The lines of an answer with this head, less ours that tell of its age and way."""
    answer = answer_of(whole(body), head, **more)
    answer.received_at = at
    sink = Sink()
    exchange, asked = exchange_on(sink)
    await delivery.deliver(exchange, asked, answer, route=settings, key=KEY, now=at)
    return [line for line in sink.head if not line.startswith((b"Cache-Status:", b"Age: 7"))]


async def test_the_lines_of_a_head_are_those_of_each_route(delivery: Delivery) -> None:
    head = response("Date: Thu, 01 Jan 2026 00:00:00 GMT | Server: a | X-A: b")
    hiding = route(response_headers={"remove": ["Server"]})
    assert b"Server: a" in await lines_of(delivery, head)
    assert b"Server: a" not in await lines_of(delivery, head, hiding)
    assert await lines_of(delivery, head) == await lines_of(delivery, head)


async def test_the_lines_of_a_head_have_its_age_only_where_ours_is_not_told(delivery: Delivery) -> None:
    head = response("Date: Thu, 01 Jan 2026 00:00:00 GMT | Age: 3")
    assert b"Age: 3" not in await lines_of(delivery, head)
    assert b"Age: 3" in await lines_of(delivery, head, age_s=None)
    assert b"Age: 3" not in await lines_of(delivery, head)


async def test_the_lines_of_a_head_vary_by_coding_where_the_body_is_long_enough(delivery: Delivery) -> None:
    head = response("Date: Thu, 01 Jan 2026 00:00:00 GMT | Content-Type: text/html | Cache-Control: public")
    coding = route(compression={"enabled": True, "min_bytes": 100})
    for size in (10, 1000, 10):
        lines = await lines_of(delivery, head, coding, body=b"x" * size)
        assert (b"Vary: Accept-Encoding" in lines) is (size == 1000)


async def test_a_head_without_date_gets_that_of_each_answer(delivery: Delivery) -> None:
    head = response("X-A: b")
    for at in (NOW, NOW + 60):
        assert b"Date: " + format_http_date(at) in await lines_of(delivery, head, at=at)


async def test_our_lines_tell_of_each_key_where_they_name_it_and_are_remembered_where_not() -> None:
    compressor = Compressor(CompressorSettings())
    plain = Delivery(CacheSettings(), compressor=compressor)
    for number in range(OWN_LINES + 10):
        sink = await delivered(plain, answer_of(whole(), age_s=float(number)))
        assert b"Age: %d" % number in sink.head
    assert 0 < len(plain._own) <= OWN_LINES
    naming = Delivery(CacheSettings(cache_status_key=True), compressor=compressor)
    for key in (b"one", b"two"):
        sink = Sink()
        exchange, asked = exchange_on(sink)
        await naming.deliver(exchange, asked, answer_of(whole()), route=ROUTE, key=key, now=NOW)
        assert any(key in line for line in sink.head)
    compressor.close()
