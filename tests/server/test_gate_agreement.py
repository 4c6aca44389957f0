"""The gate answers what the ordinary path answers: random clients before a proxy with it and one without."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator

import pytest

from proxy.policy.purges import Everything, Tagged
from tests.server.twins import KINDS, Twins

EXCHANGES = int(os.environ.get("LOCKGATE_GATE_EXCHANGES", "4000"))
"""In all; a hundred thousand and more for a long run."""

SEED = int(os.environ.get("LOCKGATE_SEED", "20261124"))

TARGETS = [
    *(f"/{kind}?size=300" for kind in KINDS),
    "/long?size=0", "/long?size=70000", "/long?size=1200000", "/text?size=5000", "/none?size=10",
]  # fmt: skip
POPULAR = ["/long?size=300", "/text?size=5000", "/tagged?size=300", "/language?size=300", "/long?size=70000"]

INDIFFERENT = (
    "User-Agent: a/{n}", "Accept: */*", "Accept: text/html;q=0.{d}", "Accept-Language: en",
    "accept-language: de", "Cookie: id={n}", "COOKIE: a=b", "cookie: id={d}; other={n}", "Referer: http://a/{n}",
    "X-Request-ID: {n}",
    "traceparent: 00-{n}-01", "Sec-Fetch-Mode: navigate", "Cookie: ", "User-Agent:\tx\xff\xfe{n}\t",
)  # fmt: skip
MATTERS = (
    "Range: bytes=0-9", "Range: bytes=-5", "Range: bytes=5-2", "Range: bytes=0-3,7-9", "Range: bytes=100000-",
    'If-None-Match: "{e}"', "If-None-Match: *", 'If-None-Match: W/"{e}", "other"', 'If-Range: "{e}"',
    "If-Modified-Since: Tue, 14 Nov 2023 22:13:20 GMT", "If-Modified-Since: Mon, 13 Nov 2023 22:13:20 GMT",
    "If-Modified-Since: rubbish", "Cache-Control: no-cache", "Cache-Control: max-age=0",
    "Cache-Control: max-age=2",
    "Cache-Control: only-if-cached", "Cache-Control: max-stale=5", "Cache-Control: min-fresh=2",
    "Cache-Control: no-store", "Pragma: no-cache", "Authorization: Basic YTpi", "Connection: keep-alive",
    "Connection: close", "Connection: Cookie", "Accept-Encoding: gzip", "Accept-Encoding: br;q=1, gzip;q=0",
    "X-Forwarded-For: 192.0.2.1", "Via: 1.1 elsewhere", "Max-Forwards: 0", "Upgrade: h2c",
    "Expect: 100-continue", "TE: trailers", "X-Custom: {d}", "If-Match: *", "Origin: http://a",
)  # fmt: skip
REFUSED = (
    "X_Y: \x01", "Cookie: a\x01b", "User-Agent: \x7f", "Bad Name: x", " folded: x", "Host: other",
    "Cookie: a\nX: b", "Cookie: a\x00b", "Referer: a\rb",
    "Cookie: " + "c" * 9000, "User-Agent: " + "u" * 8170, "Content-Length: x", "Transfer-Encoding: gzip",
    *("Accept: {n}\r\n" * 120,), "Referer: " + "r" * 8000,
)  # fmt: skip
BODIES = ("Content-Length: 4\r\n\r\nbody", "Transfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n")


@pytest.mark.slow
async def test_random_clients_get_the_same_with_and_without_the_gate(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("secrets.token_hex", lambda size: "b" * 2 * size)  # the boundary between parts
    monkeypatch.setattr("proxy.server.gate_keeper.NOT_A_HIT_S", 0.0)  # the clock stands still
    twins = Twins(routes=[{"origin": "shop", "cache": {"stale_if_error_s": 0}}])
    exchanges = runs = 0
    while exchanges < EXCHANGES:
        chance = random.Random(f"{SEED}/{runs}")
        try:
            exchanges += await converse(twins, chance)
        except AssertionError as error:
            raise AssertionError(f"LOCKGATE_SEED={SEED}, connection {runs}: {error}") from error
        runs += 1
    share = twins.gate_answers / exchanges
    with capsys.disabled():
        print(f" {exchanges} exchanges, {share:.0%} of them answered by the gate", end="")
    counted = [twin.proxy.statistics().exchanges for twin in twins.both]
    assert counted[0] == counted[1]
    assert share >= 0.5
    twins.close()


class RandomClient:
    """What a client could send."""

    def __init__(self, chance: random.Random, now_s: int) -> None:
        self._chance = chance
        self._etag = now_s // 7

    def usual_request(self) -> bytes:
        """One such as half of the world sends."""
        target = self._chance.choice(POPULAR)
        return (
            f"GET {target} HTTP/1.1\r\nHost: shop\r\nUser-Agent: {self._chance.randrange(9)}\r\n\r\n".encode()
        )

    def request(self) -> bytes:
        """One request, most of them such as browsers send."""
        chance = self._chance
        kind = chance.random()
        method = "GET" if kind < 0.9 else chance.choice(["HEAD", "POST", "OPTIONS", "get", "PUT", "DELETE"])
        target = chance.choice(POPULAR if chance.random() < 0.8 else TARGETS)
        lines = [f"{method} {target} HTTP/1.{0 if chance.random() < 0.01 else 1}", "Host: shop"]
        lines += chance.sample(INDIFFERENT, chance.choice([0, 1, 2, 2, 3, 5]))
        if chance.random() < 0.25:
            lines += chance.sample(MATTERS, chance.choice([1, 1, 1, 2]))
        if chance.random() < 0.01:
            lines.append(chance.choice(REFUSED))
        head = "\r\n".join(lines)
        head = head.replace("{n}", str(chance.randrange(10**6))).replace("{d}", str(chance.randrange(3)))
        head = head.replace("{e}", str(self._etag - chance.choice([0, 0, 1])))
        if method in ("POST", "PUT"):
            return f"{head}\r\n{chance.choice(BODIES)}".encode("latin-1")
        return f"{head}\r\n\r\n".encode("latin-1")


def segments(chance: random.Random, octets: bytes) -> Iterator[bytes]:
    """The octets, cut anywhere or nowhere."""
    while octets:
        size = len(octets) if chance.random() < 0.9 else chance.randrange(1, len(octets) + 1)
        yield octets[:size]
        octets = octets[size:]


async def converse(twins: Twins, chance: random.Random) -> int:
    """One connection's life; how many requests were sent."""
    twins.connect()
    sent = 0
    client = RandomClient(chance, int(twins.clock.now()))
    habit = [client.usual_request() for _ in range(2)]
    for _ in range(chance.choice([1, 5, 30])):
        batch = [
            chance.choice(habit) if chance.random() < 0.7 else client.request()
            for _ in range(chance.choice([1] * 20 + [2, 5]))
        ]
        sent += len(batch)
        await twins.send(*segments(chance, b"".join(batch)))
        _something_happens(twins, chance)
        if twins.without.wire.closed:
            break
    assert twins.agree, _difference(twins)
    return sent


def _something_happens(twins: Twins, chance: random.Random) -> None:
    kind = chance.random()
    if kind < 0.08:
        twins.clock.advance(chance.choice([0.1, 0.5, 1.0, 1.7, 4.0, 61.0]))
    elif kind < 0.09:
        soft = chance.random() < 0.5
        coverage = Everything() if chance.random() < 0.5 else Tagged(frozenset({b"all"}))
        for twin in twins.both:
            twin.proxy.cache.begin_purge(coverage, soft=soft)


def _difference(twins: Twins) -> str:
    one, other = (bytes(twin.wire.sent) for twin in twins.both)
    at = next((at for at, pair in enumerate(zip(one, other, strict=False)) if pair[0] != pair[1]), -1)
    begin = max(0, at - 400)
    return f"at octet {at}:\n{one[begin : at + 400]!r}\n{other[begin : at + 400]!r}"
