"""How long a purge of very many holds the loop up: `python -m loadtest.bench.purge`.

A cache in this process is filled with responses under one tag; then it is purged while the loop turns as it
would with other work. Told for each kind of purge: the step that the purge itself takes, after which it
holds; the longest turn until all is removed; and how long that took in all.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import re
import time
from dataclasses import replace

from proxy.cache.cache import ResponseCache
from proxy.cache.entry import Entry
from proxy.clock import SystemClock
from proxy.coalesce.body import SharedBody
from proxy.config.settings import CacheSettings, RouteSettings
from proxy.http.fields import Fields
from proxy.http.messages import RequestHead, ResponseHead
from proxy.policy.freshness import LifetimeSource
from proxy.policy.keys import cache_key
from proxy.policy.purges import Coverage, Everything, Matching, Prefixed, Tagged
from proxy.policy.terms import Terms

TAG = b"shoes"
COVERAGES: dict[str, Coverage] = {
    "tag": Tagged(frozenset({TAG})),
    "prefix": Prefixed(frozenset({b"example.org"}), {b"*/": (b"/objects/",)}),
    "pattern": Matching(re.compile(rb"/objects/[0-9]+$")),
    "everything": Everything(),
}


def filled(count: int) -> ResponseCache:
    """A cache with so many small responses, all with one tag."""
    cache = ResponseCache(CacheSettings(max_bytes=2**34), clock=SystemClock())
    route = RouteSettings(origin="app")
    head = ResponseHead(200, Fields([(b"Cache-Control", b"max-age=3600"), (b"Surrogate-Key", TAG)]))
    one = Entry(
        key=b"", varies_on=(), variant=(), head=head, body=SharedBody.complete([b"x"]),
        terms=Terms(3600.0, LifetimeSource.MAX_AGE), initial_age_s=0.0, requested_mono=0.0,
        received_mono=time.monotonic(), received_at=time.time(), tags=frozenset({TAG}),
    )  # fmt: skip
    for number in range(count):
        request = RequestHead("GET", b"/objects/%d" % number, Fields(), authority=b"example.org")
        key = cache_key("*/", request, route=route)
        cache.store(replace(one, key=key), began=cache.fences.epoch, max_variants=1)
    return cache


async def measure(name: str, coverage: Coverage, count: int, soft: bool) -> str:
    """A row of the table."""
    cache = filled(count)
    gc.collect()
    began = last = time.perf_counter()
    receipt = cache.begin_purge(coverage, soft=soft)
    step_s = time.perf_counter() - began
    longest_s = 0.0
    while not receipt.done:
        await asyncio.sleep(0)
        now = time.perf_counter()
        longest_s, last = max(longest_s, now - last), now
    took_s = time.perf_counter() - began
    assert receipt.entries == count, f"{receipt.entries} of {count} were purged"
    kind = f"{name}{', soft' if soft else ''}"
    return f"| {kind} | {step_s * 1000:.1f} | {longest_s * 1000:.1f} | {took_s * 1000:.0f} |"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description="the longest that a purge of very many stops the loop")
    parser.add_argument("--entries", type=int, default=100_000)
    parser.add_argument(
        "--runs", type=int, default=3, help="of each; the one with the median longest turn is told"
    )
    arguments = parser.parse_args()
    gc.set_threshold(250_000, 50, 100)  # as `lockgate serve` sets it
    print(f"{arguments.entries:,} entries\n")
    print("| purge by | the step itself, ms | longest turn of the loop, ms | all removed after, ms |")
    print("| --- | --- | --- | --- |")
    for soft in (False, True):
        for name, coverage in COVERAGES.items():
            rows = [
                asyncio.run(measure(name, coverage, arguments.entries, soft)) for _ in range(arguments.runs)
            ]
            rows.sort(key=lambda row: float(row.split("|")[3]))
            print(rows[len(rows) // 2], flush=True)


if __name__ == "__main__":
    main()
