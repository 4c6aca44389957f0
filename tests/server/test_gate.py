from __future__ import annotations

from typing import Any

import pytest

from proxy.coalesce.answer import Outcome
from proxy.server.gate import Gate
from tests.server.twins import Twins

HEAD = b"GET /long?size=300 HTTP/1.1\r\nHost: shop\r\n\r\n"


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The clock stands still: what was no hit a moment ago is looked at again."""
    monkeypatch.setattr("proxy.server.gate_keeper.NOT_A_HIT_S", 0.0)


async def warm(head: bytes = HEAD, times: int = 5, **settings: Any) -> Twins:
    twins = Twins(**settings)
    twins.connect()
    await twins.send(head)
    twins.clock.advance(0.25)  # into the second: on its edge, ttl turns with the next tick and nothing stands
    for _ in range(times - 1):
        await twins.send(head)
    assert twins.agree
    return twins


def ways(twins: Twins) -> tuple[int, int]:
    statistics = twins.with_gate.proxy.statistics().gate
    assert statistics is not None
    return statistics.known, statistics.parsed


async def test_a_head_is_parsed_until_it_is_known() -> None:
    twins = await warm(times=6)
    assert ways(twins) == (2, 2)  # a miss, a hit, twice what matters was seen before, then the very octets
    await twins.send(HEAD)
    assert ways(twins) == (3, 2)
    assert twins.agree
    twins.close()


async def test_another_cookie_is_answered_without_parsing() -> None:
    twins = await warm(HEAD[:-2] + b"Cookie: id=0\r\n\r\n")
    before = ways(twins)
    for number in range(1, 20):
        await twins.send(HEAD[:-2] + b"Cookie: id=%d\r\n\r\n" % number)
    assert ways(twins) == (before[0] + 19, before[1])
    assert twins.agree
    twins.close()


@pytest.mark.parametrize(
    "value",
    [b"a\tb", b"caf\xe9", b" a", b"", b"\ta", b"c" * 8160],
    ids=["tab", "latin-1", "two-spaces", "empty", "tab-first", "long"],
)
async def test_a_cookie_that_is_not_plain_is_parsed_and_answered(value: bytes) -> None:
    twins = await warm(HEAD[:-2] + b"Cookie: id=0\r\n\r\n")
    before = ways(twins)
    await twins.send(HEAD[:-2] + b"Cookie: " + value + b"\r\n\r\n")
    assert ways(twins) == (before[0], before[1] + 1)
    assert twins.agree
    twins.close()


@pytest.mark.parametrize(
    "value", [b"a\x00b", b"a\nX-A: b", b"a\rb", b"a\x7fb", b"a\r\n b", b"a\r\nHost: other"]
)
async def test_a_cookie_that_hides_something_is_refused_as_ever(value: bytes) -> None:
    twins = await warm(HEAD[:-2] + b"Cookie: id=0\r\n\r\n")
    before = ways(twins)
    await twins.send(HEAD[:-2] + b"Cookie: " + value + b"\r\n\r\n")
    assert ways(twins) == before
    assert twins.with_gate.wire.closed
    assert twins.agree
    twins.close()


async def test_heads_are_alike_only_to_the_last_octet_that_matters() -> None:
    alike = HEAD[:-2] + b"Cookie: id=%d\r\nX-A: b\r\n\r\n"
    twins = await warm(alike % 0)
    before = ways(twins)
    others = (
        alike.replace(b"X-A", b"X-B"),
        alike.replace(b"Cookie", b"cookie"),
        alike.replace(b"GET", b"HEAD"),
    )
    for number, other in enumerate(others):
        await twins.send(other % number)
    assert ways(twins)[0] == before[0]
    assert twins.agree
    twins.close()


@pytest.mark.slow
@pytest.mark.parametrize("replaces", [False, True], ids=["put in", "in the place of another"])
async def test_no_octet_anywhere_makes_a_head_alike_that_the_parser_sees_otherwise(replaces: bool) -> None:
    head = b"GET /long HTTP/1.1\r\nHost: shop\r\nCookie: id=0\r\nRange: bytes=0-9\r\n\r\n"
    twins = await warm(head)
    await twins.send(head.replace(b"0\r\nR", b"1\r\nR"))
    before = ways(twins)
    for place in range(len(head)):
        for octet in b"\0\t\n\x0b\r !-:Aa\x7f\x80\xff":
            twins.connect()
            await twins.send(head[:place] + bytes([octet]) + head[place + replaces :])
            assert twins.agree, (place, octet)
    assert before[0] + 20 <= ways(twins)[0] < before[0] + 60  # in the Cookie alone, or where it is the same
    twins.close()


async def test_a_cookie_that_a_route_looks_at_makes_no_heads_alike() -> None:
    rules = {"origin": "shop", "bypass": {"cookies": ["session"]}}
    twins = await warm(HEAD[:-2] + b"Cookie: id=0\r\n\r\n", routes=[rules])
    before = ways(twins)
    for number in range(1, 4):
        await twins.send(HEAD[:-2] + b"Cookie: id=%d\r\n\r\n" % number)
    await twins.send(HEAD[:-2] + b"Cookie: session=1\r\n\r\n")
    assert ways(twins)[0] == before[0]
    assert twins.agree
    assert twins.with_gate.origin.plan.asked[-1].fields.get(b"cookie") == b"session=1"
    twins.close()


async def test_heads_are_alike_no_longer_once_a_response_varies_on_what_differs() -> None:
    twins = Twins()
    twins.connect()
    twins.clock.advance(0.25)
    head = b"GET /language?size=30 HTTP/1.1\r\nHost: shop\r\nAccept-Language: %b\r\n\r\n"
    for language in (b"en", b"en", b"en", b"de", b"en", b"de", b"fr", b"de", b"en", b"fr"):
        await twins.send(head % language)
        assert twins.agree, language
    twins.close()


async def test_every_answer_is_in_the_books() -> None:
    twins = await warm(times=50)
    counted, alike = (twin.proxy.statistics().exchanges for twin in twins.both)
    assert counted == alike
    assert counted.outcomes[Outcome.HIT] == 49
    twins.close()


async def test_age_is_right_to_the_second() -> None:
    twins = await warm()
    for step_s in (0.4, 0.4, 0.4, 1.0, 0.3, 30.0):
        twins.clock.advance(step_s)
        await twins.send(HEAD)
        assert twins.agree
    assert b"\r\nAge: 32\r\n" in twins.with_gate.wire.sent
    twins.close()


@pytest.mark.parametrize("soft", [False, True])
@pytest.mark.parametrize("swept", [False, True])
async def test_a_purge_holds_from_its_step_on(
    swept: bool, soft: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("proxy.cache.purging.SLICE", 1)  # what was stored first is found last
    twins = await warm()
    for number in range(3):
        await twins.send(HEAD.replace(b"300", b"%d" % number))
    for twin in twins.both:
        twin.proxy.cache.purge_all(soft=soft)
    if swept:
        await twins.settled()
    await twins.send(HEAD)
    assert twins.agree
    for twin in twins.both:
        assert [asked.target for asked in twin.origin.plan.asked].count(b"/long?size=300") == 2
    twins.close()


async def test_what_is_stale_is_asked_for() -> None:
    head = HEAD.replace(b"/long", b"/short")
    twins = await warm(head)
    twins.clock.advance(3.1)
    await twins.send(head)
    assert twins.agree
    assert len(twins.with_gate.origin.plan.asked) == 2
    twins.close()


async def test_what_was_evicted_is_asked_for() -> None:
    twins = await warm(cache={"max_bytes": 60_000, "max_entry_bytes": 50_000})
    for number in range(40):
        await twins.send(HEAD.replace(b"300", b"%d" % (9000 + number)))
    await twins.send(HEAD)
    assert twins.agree
    asked = [asked.target for asked in twins.with_gate.origin.plan.asked]
    assert asked.count(b"/long?size=300") == 2
    twins.close()


async def test_variants_are_told_apart_once_a_response_varies() -> None:
    twins = Twins()
    twins.connect()
    twins.clock.advance(0.25)
    for round_ in range(8):
        twins.clock.advance(0.01)
        for language in (b"en", b"de", b"en"):
            head = b"GET /language?size=30 HTTP/1.1\r\nHost: shop\r\nAccept-Language: %b\r\n\r\n" % language
            await twins.send(head)
            assert twins.agree, round_
    assert sum(ways(twins)) >= 10
    twins.close()


@pytest.mark.parametrize(
    "line",
    [
        b"Range: bytes=0-9",
        b"Range: bytes=-5",
        b"If-None-Match: *",
        b"If-Modified-Since: Tue, 14 Nov 2023 22:13:20 GMT",
        b"Accept-Encoding: gzip",
    ],
)
@pytest.mark.parametrize("method", [b"GET", b"HEAD"])
async def test_conditions_ranges_and_heads_are_answered_at_the_gate(method: bytes, line: bytes) -> None:
    twins = await warm()
    before = sum(ways(twins))
    head = HEAD.replace(b"GET", method)[:-2] + line + b"\r\n\r\n"
    for _ in range(5):
        await twins.send(head)
        assert twins.agree
    assert sum(ways(twins)) >= before + 3
    twins.close()


@pytest.mark.parametrize(
    "line",
    [
        b"Connection: close",
        b"Cache-Control: no-cache",
        b"Authorization: Basic YTpi",
        b"Range: bytes=0-1,200-201",
        b"Content-Length: 0",
        b"Connection: Upgrade\r\nUpgrade: h2c",
    ],
)
async def test_what_is_no_plain_hit_takes_the_ordinary_path(
    line: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("secrets.token_hex", lambda size: "b" * 2 * size)
    twins = await warm()
    before = sum(ways(twins))
    for _ in range(5):
        twins.connect()
        await twins.send(HEAD[:-2] + line + b"\r\n\r\n")
        assert twins.agree
    assert sum(ways(twins)) == before
    twins.close()


async def test_a_head_above_the_limit_is_refused_whatever_it_is_made_of() -> None:
    twins = await warm(limits={"max_head_bytes": 1024})
    for size in (500, 1000, 500, 1000, 500, 900, 1000):
        twins.connect()
        await twins.send(HEAD[:-2] + b"Cookie: %b\r\n\r\n" % (b"c" * size))
        assert twins.agree
        assert twins.with_gate.wire.sent.startswith(b"HTTP/1.1 431" if size == 1000 else b"HTTP/1.1 200")
    assert sum(ways(twins)) > 4
    twins.close()


async def test_pipelined_requests_are_answered_in_order() -> None:
    twins = await warm()
    await twins.send(HEAD * 3 + HEAD.replace(b"/long", b"/private") + HEAD, HEAD[:10], HEAD[10:] + HEAD, HEAD)
    assert twins.agree
    assert twins.with_gate.wire.sent.count(b"HTTP/1.1 200") == 5 + 8
    twins.close()


async def test_a_known_head_behind_a_waiting_request_waits_for_its_turn() -> None:
    twins = await warm()
    for twin in twins.both:
        twin.receive(HEAD.replace(b"/long", b"/private"))
        twin.receive(HEAD)
    await twins.settled()
    assert twins.agree
    answers = bytes(twins.with_gate.wire.sent).split(b"HTTP/1.1 ")[1:]
    assert b"private" in answers[-2]
    twins.close()


async def test_a_client_that_does_not_read_is_not_written_to() -> None:
    twins = await warm()
    before, sent = ways(twins), len(twins.with_gate.wire.sent)
    connection = twins.with_gate.connection
    assert connection is not None
    connection.pause_writing()
    twins.with_gate.receive(HEAD)
    assert ways(twins) == before
    assert len(twins.with_gate.wire.sent) == sent
    connection.resume_writing()
    twins.without.receive(HEAD)
    await twins.settled()
    assert twins.agree
    twins.close()


async def test_the_last_answer_before_an_end_says_that_it_is_the_last() -> None:
    twins = await warm()
    for twin in twins.both:
        twin.listener.hand_over()
    await twins.send(HEAD)
    assert twins.agree
    assert bytes(twins.with_gate.wire.sent).count(b"\r\nConnection: close\r\n") == 1
    assert twins.with_gate.wire.closed
    twins.close()


async def test_garbage_behind_a_known_head_is_refused_as_ever() -> None:
    twins = await warm()
    await twins.send(HEAD + b"\x00rubbish\r\n\r\n")
    assert twins.agree
    twins.connect()
    await twins.send(HEAD)
    await twins.send(b"rubbish\r\n\r\n")
    assert twins.agree
    twins.close()


async def test_a_body_behind_a_head_is_no_request() -> None:
    twins = await warm()
    head = b"POST /long?size=300 HTTP/1.1\r\nHost: shop\r\nContent-Length: %d\r\n\r\n" % len(HEAD)
    await twins.send(head, HEAD, HEAD)
    assert twins.agree
    twins.close()


async def test_what_was_no_hit_a_moment_ago_is_not_looked_at_and_then_it_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("proxy.server.gate_keeper.NOT_A_HIT_S", 0.05)
    head = b"GET /short?size=30 HTTP/1.1\r\nHost: shop\r\n\r\n"
    twins = Twins()
    twins.connect()
    for _ in range(6):
        twins.clock.advance(0.06)
        await twins.send(head)
    before = ways(twins)
    assert sum(before) >= 2
    twins.clock.advance(4.0)
    for _ in range(3):  # stale, then fresh again, and yet at rest
        await twins.send(head)
    assert ways(twins) == before
    twins.clock.advance(0.06)
    for _ in range(3):
        await twins.send(head)
    assert sum(ways(twins)) == sum(before) + 3
    assert twins.agree
    twins.close()


async def test_the_heads_that_rest_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("proxy.server.gate_keeper.NOT_A_HIT_S", 60.0)
    monkeypatch.setattr("proxy.server.gate.DECLINED", 4)
    twins = Twins()
    twins.connect()
    for number in range(12):
        await twins.send(b"GET /private?size=1 HTTP/1.1\r\nHost: shop\r\nCookie: %d\r\n\r\n" % number)
    gate = twins.with_gate.listener.gate_for("192.0.2.7")
    assert isinstance(gate, Gate)
    assert 0 < len(gate._declined) <= 4
    assert twins.agree
    twins.close()
