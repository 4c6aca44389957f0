"""The same octets go to those of a herd who get the same, and to nobody else."""

from __future__ import annotations

import asyncio

from proxy.cache.entry import HeadMemo
from proxy.coalesce.answer import Outcome
from proxy.coalesce.outcomes import Role, Stream
from proxy.config.settings import LimitsSettings, RouteSettings
from proxy.http.fields import Fields
from proxy.http.messages import ResponseHead
from proxy.routing import Router
from proxy.server.echo import Echo
from proxy.server.exchange import Exchange
from proxy.server.prepared import Prepared, PreparedHeads
from tests.server.sinks import Sink, exchange_on
from tests.server.test_prepared import parsed


def a_stream() -> Stream:
    return Stream(
        head=ResponseHead(200, Fields()),
        terms=None,
        stored=False,
        forward_status=200,
        initial_age_s=0.0,
        received_mono=0.0,
        received_at=0.0,
        origin_s=0.0,
        memo=HeadMemo(),
    )


def prepared(target: str = "/a") -> Prepared:
    heads = PreparedHeads(
        Router([RouteSettings(origin="app")]),
        limits=LimitsSettings(),
        via_name="Lockgate",
        is_own=lambda _path: False,
    )
    octets = f"GET {target} HTTP/1.1\r\nHost: a\r\n\r\n".encode()
    found = heads.prepare(parsed(octets), scheme="http", trusted=False)
    assert isinstance(found, Prepared)
    return found


def exchange(head: Prepared, *, keep_alive: bool = True) -> tuple[Exchange, Sink]:
    sink = Sink()
    one, _ = exchange_on(sink, keep_alive=keep_alive)
    one.prepared = head
    return one, sink


def answered(head: Prepared, *, octets: int = 5) -> tuple[Exchange, Sink]:
    one, sink = exchange(head)
    one.writer.whole(200, b"", [b"x" * octets], length=octets)
    one.outcome, one.role, one.shareable = Outcome.COLLAPSED, Role.WAITER, True
    return one, sink


async def test_who_gets_the_same_gets_it_again() -> None:
    echo, stream, head = Echo(), a_stream(), prepared()
    first, first_sink = answered(head)
    echo.keep(first, stream)
    second, second_sink = exchange(head)
    assert echo.answer(second, stream, wait_s=1.5)
    assert second_sink.written == first_sink.written
    assert (second.outcome, second.role, second.shareable) == (Outcome.COLLAPSED, Role.WAITER, True)
    assert (second.wait_s, second.writer.status, second.writer.sent_bytes) == (1.5, 200, 5)


async def test_another_answer_another_head_or_another_connection_is_no_echo() -> None:
    echo, stream, head = Echo(), a_stream(), prepared()
    echo.keep(answered(head)[0], stream)
    assert not echo.answer(exchange(head)[0], a_stream(), wait_s=0.0)
    assert not echo.answer(exchange(prepared())[0], stream, wait_s=0.0)
    assert not echo.answer(exchange(head, keep_alive=False)[0], stream, wait_s=0.0)


async def test_a_connection_that_drains_is_told_so_instead() -> None:
    echo, stream, head = Echo(), a_stream(), prepared()
    echo.keep(answered(head)[0], stream)
    late, sink = exchange(head)
    sink.draining = True
    assert not echo.answer(late, stream, wait_s=0.0)
    assert sink.written == []


async def test_an_echo_dies_away_with_the_round_of_the_loop() -> None:
    echo, stream, head = Echo(), a_stream(), prepared()
    echo.keep(answered(head)[0], stream)
    await asyncio.sleep(0)
    assert not echo.answer(exchange(head)[0], stream, wait_s=0.0)


async def test_an_answer_in_several_pieces_is_not_kept() -> None:
    echo, stream, head = Echo(), a_stream(), prepared()
    echo.keep(answered(head, octets=100_000)[0], stream)
    assert not echo.answer(exchange(head)[0], stream, wait_s=0.0)
