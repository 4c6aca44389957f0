"""Garbage where caches look for words: in doubt an answer is neither shared nor fresh, and none is harmed."""

from __future__ import annotations

import pytest

from tests.hostile.arena import get
from tests.hostile.conftest import MakeArena
from tests.hostile.recording import answer

FRESH = b"Cache-Control: max-age=60"
LONG_AGO = b"Last-Modified: Mon, 01 Jan 2024 00:00:00 GMT"

SHARED = {
    "plain": [FRESH],
    "upper-case": [b"Cache-Control: MAX-AGE=60"],
    "giant": [b"Cache-Control: max-age=" + b"9" * 100],
    "zeros-before": [b"Cache-Control: max-age=" + b"0" * 50 + b"60"],
    "quoted": [b'Cache-Control: max-age="60"'],
    "empty-members": [b"Cache-Control: , ,max-age=60,, ,"],
    "unknown-extensions": [b'Cache-Control: a, b=c, d="e, private", max-age=60'],
    "the-same-twice": [FRESH, FRESH],
    "invalid-age-is-ignored": [FRESH, b"Age: -5"],
    "words-for-an-age": [FRESH, b"Age: old"],
    "first-age-of-two": [FRESH, b"Age: 0, 9999"],
    "garbled-date": [FRESH, b"Date: yesterday"],
    "garbled-expires-beside-max-age": [FRESH, b"Expires: never"],
    "garbled-last-modified": [FRESH, b"Last-Modified: long ago"],
    "garbled-etag": [FRESH, b"ETag: no quotes"],
    "garbled-stale-offer": [b"Cache-Control: max-age=60, stale-while-revalidate=soon"],
}
NOT_SHARED = {
    "negative": [b"Cache-Control: max-age=-1"],
    "fraction": [b"Cache-Control: max-age=60.5"],
    "exponent": [b"Cache-Control: max-age=6e1"],
    "hexadecimal": [b"Cache-Control: max-age=0x60"],
    "trailing-letters": [b"Cache-Control: max-age=60s"],
    "no-value": [b"Cache-Control: max-age"],
    "empty-value": [b"Cache-Control: max-age="],
    "other-digits": ["Cache-Control: max-age=٦٠".encode()],
    "space-around-equals": [b"Cache-Control: max-age = 60"],
    "semicolon": [b"Cache-Control: max-age=60; private"],
    "unclosed-quote": [b'Cache-Control: max-age=60, x="private'],
    "private-after-latin-1": [b"Cache-Control: \xff, private, max-age=60"],
    "latin-1-alone": [b"Cache-Control: max-age=60, \xe9"],
    "contradicting-lifetimes": [b"Cache-Control: max-age=60, max-age=0"],
    "contradicting-lines": [FRESH, b"Cache-Control: max-age=0"],
    "public-and-private": [b"Cache-Control: public, private, max-age=60"],
    "private-in-capitals": [b"Cache-Control: PRIVATE, max-age=60"],
    "private-with-a-value": [b"Cache-Control: private=1, max-age=60"],
    "no-store-with-a-value": [b"Cache-Control: no-store=0, max-age=60"],
    "no-store-on-another-line": [FRESH, b"X-A: b", b"Cache-Control: no-store"],
    "shared-lifetime-0": [b"Cache-Control: max-age=60, s-maxage=0"],
    "garbled-shared-lifetime": [b"Cache-Control: max-age=60, s-maxage=x"],
    "giant-age": [FRESH, b"Age: " + b"9" * 50],
    "expires-0": [b"Expires: 0"],
    "expires-in-words": [b"Expires: tomorrow"],
    "expires-in-another-zone": [b"Expires: Mon, 01 Jan 2035 00:00:00 CEST"],
    "expires-on-the-wrong-weekday": [b"Expires: Sun, 01 Jan 2035 00:00:00 GMT"],
    "expires-twice": [b"Expires: Mon, 01 Jan 2035 00:00:00 GMT", b"Expires: 0"],
    "expires-0-outweighs-a-guess": [LONG_AGO, b"Expires: 0"],
    "last-modified-to-come": [b"Last-Modified: Mon, 01 Jan 2125 00:00:00 GMT"],
    "vary-star": [FRESH, b"Vary: *"],
    "vary-star-among-others": [FRESH, b"Vary: Accept, *, X"],
    "vary-star-on-another-line": [FRESH, b"Vary: Accept", b"Vary: *"],
    "vary-on-no-name": [FRESH, b"Vary: a b"],
    "vary-on-latin-1": [FRESH, b"Vary: \xff"],
    "nothing-at-all": [],
}


@pytest.mark.parametrize(
    ("fields", "shared"),
    [
        *(pytest.param(fields, True, id=name) for name, fields in SHARED.items()),
        *(pytest.param(fields, False, id=name) for name, fields in NOT_SHARED.items()),
    ],
)
async def test_an_answer_is_shared_only_by_what_can_be_read(
    arena: MakeArena, fields: list[bytes], shared: bool
) -> None:
    async with arena() as ring:
        numbers = iter(range(10))
        ring.origin.on(b"/page", lambda _: answer(b"answer %d" % next(numbers), *fields))
        bodies = [(await ring.innocently(b"/page")).body for _ in range(2)]
        assert bodies == [b"answer 0", b"answer 0" if shared else b"answer 1"]


ASKED = {
    "range-in-words": b"Range: bytes=first-last",
    "range-backwards": b"Range: bytes=9-1",
    "range-giant": b"Range: bytes=0-" + b"9" * 100,
    "range-negative": b"Range: bytes=--5",
    "range-of-another-unit": b"Range: lines=1-2",
    "range-of-latin-1": b"Range: bytes=\xff-",
    "if-none-match-without-quotes": b"If-None-Match: tag",
    "if-none-match-unclosed": b'If-None-Match: "tag',
    "if-none-match-of-commas": b"If-None-Match: " + b"," * 1000,
    "if-none-match-latin-1": b'If-None-Match: "\xff"',
    "if-modified-since-in-words": b"If-Modified-Since: yesterday",
    "if-modified-since-0": b"If-Modified-Since: 0",
    "if-range-in-words": b"If-Range: maybe",
    "cache-control-garbled": b'Cache-Control: =,"",max-age=x;y',
    "cache-control-negative": b"Cache-Control: min-fresh=-1, max-stale=-1",
    "cache-control-giant": b"Cache-Control: max-age=" + b"9" * 100,
    "cache-control-latin-1": b"Cache-Control: \xff",
    "accept-encoding-garbled": b"Accept-Encoding: ;q=,gzip;q=nan",
    "accept-language-garbled": b"Accept-Language: ,;q=2",
    "cookie-garbled": b"Cookie: ;;=;\xff=",
}


@pytest.mark.parametrize("line", [pytest.param(line, id=name) for name, line in ASKED.items()])
async def test_a_garbled_request_gets_the_whole_answer_and_leaves_no_trace(
    arena: MakeArena, line: bytes
) -> None:
    async with arena() as ring:
        ring.origin.on(b"/page", lambda _: answer(b"0123456789", FRESH, b'ETag: "tag"', LONG_AGO))
        await ring.innocently(b"/page")
        client = await ring.client()
        await client.send(get(b"/page", line))
        told = await client.response()
        assert (told.start[0], told.body) in ((b"200", b"0123456789"), (b"206", b"0123456789"))
        again = await ring.innocently(b"/page")
        assert (again.start[0], again.body) == (b"200", b"0123456789")
