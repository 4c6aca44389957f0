"""Purges against fills: after the acknowledgement nobody gets what was generated before it.

Each race is a resource of its own. Its origin changes it and orders a purge, as a content system does;
clients ask before, at the same moment and after; answers are generated, sent and stored at random moments.
Many races run at the same time on one cache, and a sweep takes one entry a turn, so that purges overlap in
every stage.
"""

from __future__ import annotations

import asyncio
import os
import random
import re

import pytest

from proxy.cache import purging
from proxy.cache.cache import ResponseCache
from proxy.cache.entry import Entry
from proxy.coalesce.answer import Answer
from proxy.coalesce.ask import Ask
from proxy.coalesce.coalescer import Coalescer
from proxy.config.settings import CacheSettings, RouteSettings
from proxy.http.fields import Fields, Pair
from proxy.http.messages import RequestHead
from proxy.origin.port import ForwardRequest
from proxy.policy.cache_control import RequestDirectives
from proxy.policy.keys import cache_key, key_of_target
from proxy.policy.purges import Coverage, Everything, Matching, Prefixed, Tagged, Targets
from tests.coalesce.bench import body_of
from tests.origin.memory_origin import MemoryOrigin
from tests.origin.planned import Answer as Planned
from tests.simulation.virtual_time import VirtualClock, run_virtually

RACES = int(os.environ.get("LOCKGATE_RACES", "2000"))
"""Ten thousand take most of a minute; `make show WHAT=purge-race` runs as many through a server."""
AT_ONCE = 50
VARIANTS = (b"de", b"fr")
ROUTE = RouteSettings(origin="memory")


class ChangingOrigin(MemoryOrigin):
    """Its answer is generated when the request comes, and arrives some time later."""

    def __init__(self, chance: random.Random) -> None:
        super().__init__()
        self.versions: dict[bytes, int] = {}
        self._chance = chance

    def answer_for(self, request: ForwardRequest) -> Planned:
        version = b"%d" % self.versions.get(request.target, 0)
        fields: list[Pair] = [
            (b"Cache-Control", b"max-age=60"),
            (b"Surrogate-Key", b"all of%b" % request.target.replace(b"/", b"-")),
            (b"Vary", b"X-Lang"),
        ]
        known = dict(request.fields).get(b"If-None-Match")
        if self._chance.random() < 0.5:
            fields.append((b"ETag", b'"%b"' % version))
            if known == b'"%b"' % version:
                return Planned(status=304, fields=tuple(fields), delay_s=self._some_s())
        return Planned(fields=tuple(fields), body=version, delay_s=self._some_s(), pause_s=self._some_s())

    def _some_s(self) -> float:
        return self._chance.choice((0.0, 0.0, 0.001, 0.003)) * self._chance.random()


class Races:
    """All of them over one cache."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.cache = ResponseCache(CacheSettings(), clock=VirtualClock(asyncio.get_running_loop()))
        self.coalescer = Coalescer(cache=self.cache)
        self.origin = ChangingOrigin(self.chance)
        self.old_values = 0
        self.answers = 0

    def _head(self, target: bytes, language: bytes) -> RequestHead:
        return RequestHead("GET", target, Fields([(b"X-Lang", language)]), authority=b"a")

    def _ask(self, target: bytes) -> Ask:
        head = self._head(target, self.chance.choice(VARIANTS))

        def forward(*, conditions: tuple[Pair, ...], alone: bool) -> ForwardRequest:
            return ForwardRequest("GET", target, head.fields.with_added(*conditions))

        key = cache_key("r", head, route=ROUTE)
        return Ask(key, head, RequestDirectives.parse(head.fields), ROUTE, self.origin, forward)

    async def _client(self, target: bytes, after_s: float) -> None:
        if after_s:
            await asyncio.sleep(after_s)
        least = self.acknowledged.get(target, 0)
        answer = await self.coalescer.answer(self._ask(target))
        assert isinstance(answer, Answer)
        self.answers += 1
        self.old_values += int(await body_of(answer)) < least

    async def _purge(self, target: bytes, after_s: float) -> None:
        await asyncio.sleep(after_s)
        self.origin.versions[target] = self.origin.versions.get(target, 0) + 1
        version = self.origin.versions[target]
        receipt = self.cache.begin_purge(self._coverage(target), soft=self.chance.random() < 0.3)
        self.acknowledged[target] = version  # at once: nothing has to be swept for it
        if self.chance.random() < 0.5:
            await receipt.swept()

    def _coverage(self, target: bytes) -> Coverage:
        key = key_of_target("r", self._head(target, b""), route=ROUTE)
        return self.chance.choices(
            [
                Targets(frozenset({key})),
                Tagged(frozenset({b"of%b" % target.replace(b"/", b"-")})),
                Prefixed(frozenset({b"a"}), {b"r": (target,)}),
                Matching(re.compile(b"%b$" % re.escape(target))),
                Tagged(frozenset({b"all"})),
                Everything(),
            ],
            weights=(10, 10, 10, 10, 1, 1),
        )[0]

    async def run(self, count: int) -> None:
        """Run so many, `AT_ONCE` at a time."""
        self.acknowledged: dict[bytes, int] = {}
        for batch in range(count // AT_ONCE):
            async with asyncio.TaskGroup() as group:
                for number in range(AT_ONCE):
                    target = b"/%d-%d" % (batch, number)
                    for _ in range(self.chance.randint(1, 4)):
                        group.create_task(self._client(target, self._moment_s()))
                    for _ in range(self.chance.choice((1, 1, 2))):
                        group.create_task(self._purge(target, self._moment_s()))
            for number in range(AT_ONCE):  # what was stored in the end
                await self._client(b"/%d-%d" % (batch, number), 0.0)

    def _moment_s(self) -> float:
        return self.chance.choice((0.0, 0.001, 0.002, 0.004, 0.006)) * self.chance.random()


async def _raced(count: int) -> Races:
    races = Races(1)
    await races.run(count)
    return races


@pytest.mark.slow
def test_no_old_value_is_served_after_the_acknowledgement_however_they_race(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(purging, "SLICE", 1)
    races = run_virtually(_raced(RACES))
    assert races.old_values == 0
    assert races.answers > 2 * RACES
    assert races.cache.purge_statistics().entries > RACES / 10


@pytest.mark.slow
@pytest.mark.parametrize("mutant", ["fences", "look-ups"])
def test_the_races_catch_what_forgets_to_check(mutant: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(purging, "SLICE", 1)
    if mutant == "fences":
        monkeypatch.setattr("proxy.cache.fences.Fences.crossed", lambda *_args, **_options: False)
    else:

        def get(self: ResponseCache, key: bytes, variant: tuple[bytes | None, ...]) -> Entry | None:
            return self._memory.get(key, variant)

        monkeypatch.setattr(ResponseCache, "get", get)
    assert run_virtually(_raced(1_000)).old_values > 0
