"""`python -m loadtest.shows.soft_purge`: a soft purge under load, and no herd at the origin.

Clients ask for hot keys all the time, of which the origin needs a fifth of a second to make each. Everything
is purged softly: what is stored becomes stale and is served on, while each key is fetched once. A hard purge
follows for comparison: there the clients wait, and each key is fetched once as well.
"""

from __future__ import annotations

import asyncio
import sys
import time

from loadtest.shows.crowd import Seen, Wait, asking
from loadtest.shows.report import Report, main
from loadtest.shows.stage import Answer, Stage, scaled, staged, times
from origin_stub import body_of

CLIENTS = 200
KEYS = 100
_TAG = "shoes"
_BYTES = 2048
_ORIGIN_S = 0.2
_QUERY = (
    f"size={_BYTES}&etag=1&delay={_ORIGIN_S}&cc=max-age=600,stale-while-revalidate=60"
    f"&header=Surrogate-Key:{_TAG}"
)


async def play(size: float = 1.0) -> Report:
    """The show."""
    report = Report("soft purge under load: clients go on, each key is fetched once")
    async with staged() as stage:
        await _play(stage, scaled(KEYS, size, at_least=3), scaled(CLIENTS, size, at_least=6), report)
    return report


async def _play(stage: Stage, keys: int, clients: int, report: Report) -> None:
    paths = [f"/hot/{number}" for number in range(keys)]
    targets = [f"{path}?{_QUERY}" for path in paths]
    await asyncio.gather(*(stage.ask(target) for target in targets))
    report.fact("clients, hot keys", f"{clients:,}, {keys:,}")
    async with asking(stage, targets, clients, _is_whole) as seen:
        await _more_answers(stage, seen, 5 * clients)
        before = list(seen.waits)
        soft = await _purged(stage, paths, seen, report, soft=True)
        await _more_answers(stage, seen, 5 * clients)
        hard = await _purged(stage, paths, seen, report, soft=False)
    report.fact("times before", times([wait.took_s for wait in before]))
    report.fact("times while the soft purge is worked off", times([wait.took_s for wait in soft]))
    report.fact("times while the hard purge is worked off", times([wait.took_s for wait in hard]))
    report.expect("every client got a whole answer every time", holds=not seen.wrong)
    report.fact("answers that were no hit, soft purge", f"{_forwarded(soft):,} of {len(soft):,}")
    report.fact("answers that were no hit, hard purge", f"{_forwarded(hard):,} of {len(hard):,}")
    report.expect(
        "after the soft purge nobody waits for the origin: all are hits", holds=not _forwarded(soft)
    )


def _forwarded(waits: list[Wait]) -> int:
    return sum(not wait.was_hit for wait in waits)


async def _purged(stage: Stage, paths: list[str], seen: Seen, report: Report, *, soft: bool) -> list[Wait]:
    """Purge, wait until every key was fetched again and its flight has ended; gives the clients' waits."""
    kind = "soft" if soft else "hard"
    earlier = await _fetches(stage, paths)
    began_mono = time.monotonic()
    entries = await stage.purge(tag=_TAG, soft=soft)

    async def all_fetched() -> bool:
        return await _fetches(stage, paths) >= earlier + len(paths) and not await _in_progress(stage, paths)

    await stage.until(all_fetched)
    ended_mono = time.monotonic()
    # A herd would come as soon as the first answers are there, or while they are not.
    await _more_answers(stage, seen, 2_000)
    fetches = await _fetches(stage, paths) - earlier
    peak = max([(await stage.counted(path))["peak"] for path in paths])
    report.fact(f"{kind} purge: responses covered", f"{entries:,}")
    report.fact(f"{kind} purge: fetches at the origin", f"{fetches:,} for {len(paths):,} keys")
    report.expect(f"the {kind} purge covers each key", holds=entries == len(paths))
    report.expect(
        f"after the {kind} purge the origin is asked exactly once for each key", holds=fetches == len(paths)
    )
    report.expect(f"and never twice at one time for one key ({kind})", holds=peak == 1)
    return seen.between(began_mono, ended_mono)


async def _fetches(stage: Stage, paths: list[str]) -> int:
    counted = await stage.all_counted()
    return sum(int(counted[path]["requests"]) for path in paths if path in counted)


async def _in_progress(stage: Stage, paths: list[str]) -> int:
    counted = await stage.all_counted()
    return sum(int(counted[path]["in_progress"]) for path in paths if path in counted)


async def _more_answers(stage: Stage, seen: Seen, count: int) -> None:
    goal = len(seen.waits) + count

    async def are_there() -> bool:
        return len(seen.waits) >= goal

    await stage.until(are_there)


def _is_whole(target: str, answer: Answer) -> bool:
    return answer.status == 200 and answer.body == body_of(target.partition("?")[0], _BYTES)


if __name__ == "__main__":
    sys.exit(main(play, __doc__))
