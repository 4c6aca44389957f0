"""`python -m loadtest.shows.purge_race`: 10,000 times a purge races the fills of what it purges.

In each race the origin's answer changes while clients ask for it: the origin sends the head of its old
answer at once and the body some milliseconds later, so that fills of the old one are on their way when the
change and the purge come. In each sixth race the origin is held in the middle of the old body until the purge
was acknowledged. Who asks after that must never get the old answer, nor may a fill that ends afterwards bring
it back. All kinds of purge that remove take turns.
"""

from __future__ import annotations

import asyncio
import random
import sys
import time
from collections import Counter
from dataclasses import dataclass, field

from loadtest.shows.report import Report, main
from loadtest.shows.stage import Answer, Stage, scaled, staged
from origin_stub import body_of

RACES = 10_000
AT_ONCE = 32
_BYTES = 1024
_BODY_AFTER_S = 0.02
_SPREAD_S = 0.04
_BEFORE = 3
_KINDS = ("url", "PURGE", "tag", "prefix", "pattern")
_HELD_EACH = 6
"""One race of so many is decided by a barrier, not by chance; prime to the number of kinds."""
_SEED = 3


@dataclass(slots=True)
class _Tally:
    """What came of the races so far."""

    early: Counter[str] = field(default_factory=Counter)
    """Answers to those who asked before the acknowledgement, by the version they got."""
    afterwards: Counter[str] = field(default_factory=Counter)
    """Answers to those who asked after it."""
    kinds: Counter[str] = field(default_factory=Counter)
    covered: int = 0
    """Races whose purge found something stored."""
    overtaken: int = 0
    """Races in which the old answer reached somebody who had asked before after the acknowledgement."""
    faults: list[str] = field(default_factory=list)


async def play(size: float = 1.0) -> Report:
    """The show."""
    report = Report("purge racing a fill: never an old answer after the acknowledgement")
    races = scaled(RACES, size, at_least=len(_KINDS))
    tally = _Tally()
    began = time.monotonic()
    async with staged(route={"purge": {"enabled": True}}) as stage:
        numbers = iter(range(races))

        async def race_on() -> None:
            for number in numbers:
                await (_race_held if number % _HELD_EACH == 0 else _race)(stage, number, tally)

        async with asyncio.TaskGroup() as tasks:
            for _ in range(min(AT_ONCE, races)):
                tasks.create_task(race_on())
    report.fact("races", f"{races:,} in {time.monotonic() - began:.0f} s")
    _tell(report, tally)
    return report


def _tell(report: Report, tally: _Tally) -> None:
    report.fact("purges", ", ".join(f"{count:,} by {kind}" for kind, count in sorted(tally.kinds.items())))
    report.fact("asked before the acknowledgement, got the old or the new answer", _versions(tally.early))
    report.fact("races in which an old fill ended after the acknowledgement", f"{tally.overtaken:,}")
    report.fact("races in which the purge found something stored", f"{tally.covered:,}")
    report.fact("asked after the acknowledgement, got", _versions(tally.afterwards))
    report.expect(
        "whoever asks after the acknowledgement gets the new answer",
        holds=bool(tally.afterwards) and set(tally.afterwards) == {"new"},
    )
    report.expect("no answer is cut, mixed or an error", holds=not tally.faults)
    report.expect(
        "the races were close: old fills were on their way past the acknowledgement",
        holds=tally.overtaken > 0,
    )
    for fault in tally.faults[:10]:
        report.fact("fault", fault)


def _versions(counted: Counter[str]) -> str:
    return ", ".join(f"{counted[name]:,} {name}" for name in ("old", "new") if counted[name])


async def _race(stage: Stage, number: int, tally: _Tally) -> None:
    chance = random.Random(_SEED * 1_000_003 + number)
    kind = _KINDS[number % len(_KINDS)]
    path = f"/race/{number}"
    query = f"?size={_BYTES}&drip={_BYTES / _BODY_AFTER_S}&cc=max-age=600&header=Surrogate-Key:race-{number}"
    target = path + query
    acknowledged = asyncio.Event()

    async def asks_before() -> tuple[Answer, bool]:
        await asyncio.sleep(chance.uniform(0, _SPREAD_S))
        late = acknowledged.is_set()
        answer = await stage.ask(target)
        return answer, late

    before = [asyncio.ensure_future(asks_before()) for _ in range(_BEFORE)]
    await asyncio.sleep(chance.uniform(0, _SPREAD_S))
    await stage.tell_origin("touch", path=path)
    covered = await _purge(stage, kind, number, target)  # not behind `+=`, which reads before it waits
    tally.covered += bool(covered)
    tally.kinds[kind] += 1
    under_way = [task for task in before if not task.done()]
    acknowledged.set()
    afterwards = [await stage.ask(target)]
    answers = await asyncio.gather(*before)
    # All fills of the old answer have ended by now, since their clients have it.
    afterwards.append(await stage.ask(target))
    for answer, late in answers:
        (tally.afterwards if late else tally.early)[_version(path, answer, tally)] += 1
    for answer in afterwards:
        tally.afterwards[_version(path, answer, tally)] += 1
    tally.overtaken += any(
        not late and answer.body == body_of(path, _BYTES)
        for answer, late in (task.result() for task in under_way)
    )


async def _race_held(stage: Stage, number: int, tally: _Tally) -> None:
    """The old fill has its head and half of its body, and gets no further until the purge is acknowledged."""
    kind = _KINDS[number % len(_KINDS)]
    path = f"/race/{number}"
    target = f"{path}?size={_BYTES}&cc=max-age=600&header=Surrogate-Key:race-{number}"

    async def are_held(count: int) -> bool:
        return await stage.held(path) >= count

    await stage.tell_origin("hold", path=path, after_bytes=_BYTES // 2)
    before = [asyncio.ensure_future(stage.ask(target)) for _ in range(_BEFORE)]
    await stage.until(lambda: are_held(1))
    await stage.tell_origin("touch", path=path)
    covered = await _purge(stage, kind, number, target)
    tally.covered += bool(covered)
    tally.kinds[kind] += 1
    # A fill of its own for who asks now: it is held as well, and both end in one instant.
    after = asyncio.ensure_future(stage.ask(target))
    await stage.until(lambda: are_held(2))
    await stage.tell_origin("release", path=path)
    early = await asyncio.gather(*before)
    afterwards = [await after, await stage.ask(target)]
    for answer in early:
        tally.early[_version(path, answer, tally)] += 1
    for answer in afterwards:
        tally.afterwards[_version(path, answer, tally)] += 1
    tally.overtaken += early[0].body == body_of(path, _BYTES)


async def _purge(stage: Stage, kind: str, number: int, target: str) -> int:
    url = stage.lockgate.url
    match kind:
        case "url":
            return await stage.purge(url=url + target)
        case "tag":
            return await stage.purge(tag=f"race-{number}")
        case "prefix":
            return await stage.purge(prefix=f"{url}/race/{number}?")
        case "pattern":
            return await stage.purge(pattern=rf"/race/{number}\?")
        case _:
            answer = await stage.ask(target, method="PURGE")
            if answer.status != 200:
                raise RuntimeError(f"PURGE was answered {answer.status}: {answer.body!r}")
            return int(b'"entries": 0' not in answer.body)


def _version(path: str, answer: Answer, tally: _Tally) -> str:
    if answer.status == 200:
        for version, name in enumerate(("old", "new")):
            if answer.body == body_of(path, _BYTES, version=version):
                return name
    tally.faults.append(f"{path}: {answer.status}, {len(answer.body)} octets")
    return "neither"


if __name__ == "__main__":
    sys.exit(main(play, __doc__))
