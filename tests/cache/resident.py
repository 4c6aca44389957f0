"""Fills a cache in this fresh process, past its bound: `python -m tests.cache.resident MAX_BYTES LARGEST`.

Prints the octets that the cache counts, and those by which the process has grown.
"""

from __future__ import annotations

import random
import resource
import sys
from pathlib import Path

from proxy.cache.cache import ResponseCache
from proxy.cache.entry import Entry, HeadMemo
from proxy.clock import SystemClock
from proxy.coalesce.body import SharedBody
from proxy.config.settings import CacheSettings
from proxy.http.rendering import render_fields
from proxy.origin.response_head import read_response_head
from proxy.policy.freshness import LifetimeSource
from proxy.policy.terms import Terms

HEAD = b"""HTTP/1.1 200 OK
Date: Tue, 24 Nov 2026 03:55:31 GMT
Server: Apache/2.4.62 (Debian)
Content-Type: text/html; charset=utf-8
Content-Language: en
Last-Modified: Mon, 23 Nov 2026 08:%02d:%02d GMT
ETag: "%064x"
Cache-Control: public, max-age=86400
X-Request-Id: %032x
X-Content-Type-Options: nosniff

""".replace(b"\n", b"\r\n")


def _resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def _fill(cache: ResponseCache, chance: random.Random, count: int, largest: int) -> None:
    for number in range(count):
        head = read_response_head(HEAD % (number % 60, number % 59, number, chance.getrandbits(128)))
        memo = HeadMemo()
        memo.lines = render_fields(head.fields)
        body = SharedBody()
        size = chance.randrange(largest)
        while body.received_bytes < size:  # as it comes from a socket
            body.append(bytes(min(65_536, size - body.received_bytes)))
        body.finish()
        now_mono, now = cache.clock.mono(), cache.clock.now()
        entry = Entry(
            key=b"4:http,15:www.example.org,19:/articles/%08d,13:2:*/,0:,1:/,," % number,
            varies_on=(), variant=(), head=head, body=body,
            terms=Terms(86400, LifetimeSource.MAX_AGE),
            initial_age_s=chance.random(), requested_mono=now_mono - 0.001, received_mono=now_mono,
            received_at=now, memo=memo,
        )  # fmt: skip
        cache.store(entry, began=cache.fences.epoch, max_variants=8)


def main() -> None:
    """Print both."""
    max_bytes, largest = map(int, sys.argv[1:])
    chance = random.Random(7)
    settings = CacheSettings(max_bytes=max_bytes, max_entry_bytes=max_bytes // 4)
    _fill(ResponseCache(settings, clock=SystemClock()), chance, 100, 1000)  # what is loaded at the first
    cache = ResponseCache(settings, clock=SystemClock())
    before = _resident_bytes()
    _fill(cache, chance, int(2.5 * max_bytes / (largest / 2 + 1500)), largest)
    print(cache.statistics().stored_bytes, _resident_bytes() - before)


if __name__ == "__main__":
    main()
