"""The proxy as its listeners see it: where exchanges begin, what is refused, counters that add up."""

from __future__ import annotations

import asyncio

import pytest
from aiohttp import StreamReader
from aiohttp.base_protocol import BaseProtocol
from aiohttp.http_parser import HttpRequestParser, RawRequestMessage

from proxy.coalesce.answer import Outcome
from proxy.config.settings import Config
from proxy.errors import ClientError, HeadTooLarge
from proxy.server.ledger import Ledger
from proxy.server.proxy import Proxy
from proxy.server.serving import Serving
from tests.origin.manual_clock import ManualClock
from tests.origin.memory_origin import MemoryOrigin
from tests.server.sinks import Sink


class Hallway:
    """`proxy.server.serving.Hall` of a listener without trusted proxies."""

    scheme = "http"
    draining = False

    def __init__(self) -> None:
        self.over = 0

    def trusts(self, client: str) -> bool:
        return False

    def exchange_over(self) -> None:
        self.over += 1


class House:
    """A proxy, the hall that its clients come in by, and an origin in memory."""

    def __init__(self, **route: object) -> None:
        self.origin = MemoryOrigin()
        self.hall = Hallway()
        config = Config.model_validate(
            {
                "origins": {"shop": {"addresses": ["http://memory.example"]}},
                "routes": [{"origin": "shop", **route}],
            }
        )
        self.proxy = Proxy(config, origins={"shop": self.origin}, clock=ManualClock(), ledger=Ledger(None))

    async def ask(self, octets: bytes) -> Sink:
        """What is written in answer to this request."""
        sink = Sink()
        message, body = _parsed(octets)
        progress = self.proxy.begin(self.hall, sink.connection, message, body)
        if isinstance(progress, Serving):
            await progress.go_on()
        return sink


def _parsed(octets: bytes) -> tuple[RawRequestMessage, StreamReader]:
    loop = asyncio.get_running_loop()
    (found,) = HttpRequestParser(BaseProtocol(loop), loop, 1024, auto_decompress=False).feed_data(octets)[0]
    return found


@pytest.fixture
async def house() -> House:
    return House()


def get(target: str = "/a", *lines: str, method: str = "GET") -> bytes:
    return "\r\n".join([f"{method} {target} HTTP/1.1", "Host: a", *lines, "", ""]).encode()


async def test_a_request_that_is_refused_is_over_at_once(house: House) -> None:
    sink = Sink()
    message, body = _parsed(get("/a", "Bad_Field: a", "Transfer_Encoding: chunked"))
    assert house.proxy.begin(house.hall, sink.connection, message, body) is False
    assert sink.head[0] == b"HTTP/1.1 400 Bad Request"
    assert house.hall.over == 1
    assert house.proxy.statistics().exchanges.outcomes[Outcome.REFUSED] == 1


async def test_a_client_that_asked_only_for_what_is_stored_is_answered_at_once(house: House) -> None:
    sink = await house.ask(get("/a", "Cache-Control: only-if-cached"))
    assert sink.head[0] == b"HTTP/1.1 504 Gateway Timeout"
    assert not house.origin.asked


async def test_a_path_without_a_route_is_a_404_and_the_connection_lives() -> None:
    house = House(path="/here")
    sink = await house.ask(get("/there"))
    assert sink.head[0] == b"HTTP/1.1 404 Not Found"
    assert b"Connection: close" not in sink.head


@pytest.mark.parametrize("error", [ClientError("not HTTP"), HeadTooLarge("too large")])
async def test_octets_that_are_no_request_are_answered_counted_and_closed(
    house: House, error: ClientError
) -> None:
    sink = Sink()
    house.proxy.refuse(house.hall, sink.connection, error)
    assert sink.head[0].split()[1] == b"%d" % error.status
    assert sink.head[-1] == b"Connection: close"
    exchanges = house.proxy.statistics().exchanges
    assert exchanges.statuses == {error.status: 1}
    assert exchanges.requests == exchanges.outcomes[Outcome.REFUSED] == 1


async def test_octets_of_a_client_that_has_left_are_counted_as_well(house: House) -> None:
    sink = Sink()
    sink.gone = True
    house.proxy.refuse(house.hall, sink.connection, ClientError("not HTTP"))
    exchanges = house.proxy.statistics().exchanges
    assert (exchanges.requests, exchanges.aborted) == (1, 1)


async def test_a_trace_that_ends_here_is_not_echoed(house: House) -> None:
    sink = await house.ask(get("/a", "Max-Forwards: 0", "Cookie: secret", method="TRACE"))
    assert sink.head[0] == b"HTTP/1.1 501 Not Implemented"
    assert b"secret" not in sink.octets


async def test_options_that_ends_here_is_about_us(house: House) -> None:
    sink = await house.ask(get("*", "Max-Forwards: 0", method="OPTIONS"))
    assert sink.head[0] == b"HTTP/1.1 200 OK"
    assert any(line.startswith(b"Allow: ACL, ") for line in sink.head)


async def test_a_request_that_goes_in_a_circle_is_a_508(house: House) -> None:
    sink = await house.ask(get("/a", "Via: " + ", ".join(["1.1 Lockgate"] * 8)))
    assert sink.head[0].split()[1] == b"508"
    assert not house.origin.asked


async def test_a_failure_behind_us_is_told_by_its_kind_only(house: House) -> None:
    house.origin.refuse()
    sink = await house.ask(get("/a", "Content-Length: 0", method="POST"))
    assert sink.head[0].split()[1] == b"502"
    assert b"memory" not in sink.octets
    assert house.proxy.statistics().exchanges.outcomes[Outcome.FAILED] == 1


async def test_a_defect_of_ours_is_a_500_without_a_word_about_it(
    house: House, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("secret")

    monkeypatch.setattr(house.origin, "send", broken)
    sink = await house.ask(get("/a", "Content-Length: 0", method="POST"))
    assert sink.head[0] == b"HTTP/1.1 500 Internal Server Error"
    assert b"secret" not in sink.octets
    assert "exchange_broken" in caplog.text


async def test_its_repr_shows_what_goes_on(house: House) -> None:
    assert repr(house.proxy).startswith("<Proxy <Coalescer")
    house.proxy.close()
