"""`python -m loadtest.shows.tag_purge`: 100,000 answers under one tag are purged while clients are served.

A watch on the server's event loop tells how long it was stopped at a time (`loadtest.shows.watched`); clients
ask for answers of another tag meanwhile, and for purged ones as soon as the purge is acknowledged.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from pathlib import Path

from loadtest.shows.crowd import asking
from loadtest.shows.filling import fill
from loadtest.shows.report import Report, main
from loadtest.shows.stage import Answer, Stage, scaled, staged, times
from loadtest.shows.watched import Round, rounds_between, watched_environ
from origin_stub import body_of

KEYS = 100_000
OTHERS = 200
CLIENTS = 20
LONGEST_STOP_S = 0.010
_SAMPLE = 500
_TAG, _OTHER_TAG = "shoes", "hats"
_BYTES = 256
_CACHE = {"max_bytes": 2**31, "max_keys_remembered": 500_000}


def _target(path: str, tag: str) -> str:
    return f"{path}?size={_BYTES}&cc=max-age=6000&header=Surrogate-Key:{tag}"


async def play(size: float = 1.0) -> Report:
    """The show."""
    report = Report("tag purge of 100,000 answers: the loop is never stopped for long")
    with tempfile.TemporaryDirectory(prefix="lockgate-show-") as directory:
        watch = Path(directory)
        async with staged(environ=watched_environ(watch), cache=_CACHE) as stage:
            await _play(stage, watch, scaled(KEYS, size, at_least=10), report)
    return report


async def _play(stage: Stage, watch: Path, keys: int, report: Report) -> None:
    tagged = [_target(f"/shoes/{number}", _TAG) for number in range(keys)]
    others = [_target(f"/hats/{number}", _OTHER_TAG) for number in range(OTHERS)]
    began = time.monotonic()
    await fill(stage.lockgate.port, [*tagged, *others])
    report.fact("answers under the tag", f"{keys:,}")
    report.fact("time to fetch them all", f"{time.monotonic() - began:.1f} s")
    async with asking(stage, others, CLIENTS, _is_whole, pause_s=0.001) as seen:

        async def is_warm() -> bool:
            return len(seen.waits) >= 20 * CLIENTS

        await stage.until(is_warm)
        before = list(seen.waits)
        began_mono = time.monotonic()
        entries = await stage.purge(tag=_TAG)
        ended_mono = time.monotonic()
        sample = tagged[:: max(1, keys // _SAMPLE)]
        again = [await stage.ask(target) for target in sample]
    during = seen.between(began_mono, ended_mono)
    rounds = rounds_between(watch, began_mono, ended_mono)
    _tell_purge(report, keys, entries, ended_mono - began_mono)
    report.fact("clients' times before", times([wait.took_s for wait in before]))
    report.fact("clients' times during the purge", times([wait.took_s for wait in during]))
    _tell_rounds(report, rounds)
    report.expect(
        "what has another tag is served as a hit all the while",
        holds=not seen.wrong and all(wait.was_hit for wait in (*before, *during)),
    )
    fetches = sum(await asyncio.gather(*(stage.fetches(target.partition("?")[0]) for target in sample)))
    report.fact("purged answers asked for again", f"{len(sample):,}")
    report.fact("of them fetched again from the origin", f"{fetches - len(sample):,}")
    report.expect(
        "after the acknowledgement each purged answer is fetched again",
        holds=fetches == 2 * len(sample) and all("hit" not in answer.cache_status for answer in again),
    )


def _tell_purge(report: Report, keys: int, entries: int, took_s: float) -> None:
    report.fact("answers that the purge covered", f"{entries:,}")
    report.fact("time to the acknowledgement", f"{took_s * 1000:.0f} ms")
    report.expect("the purge covers all of them", holds=entries == keys)


def _tell_rounds(report: Report, rounds: list[Round]) -> None:
    longest_s = max((each.cpu_s for each in rounds), default=0.0)
    took_s = max((each.took_s for each in rounds), default=0.0)
    report.fact("longest the loop was stopped (its CPU time)", f"{longest_s * 1000:.1f} ms")
    report.fact("the same by the wall clock, other work on the machine included", f"{took_s * 1000:.1f} ms")
    report.expect(
        f"the loop is never stopped for more than {LONGEST_STOP_S * 1000:.0f} ms at a time",
        holds=longest_s <= LONGEST_STOP_S,
    )


def _is_whole(target: str, answer: Answer) -> bool:
    return answer.status == 200 and answer.body == body_of(target.partition("?")[0], _BYTES)


if __name__ == "__main__":
    sys.exit(main(play, __doc__))
