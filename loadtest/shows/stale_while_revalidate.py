"""`python -m loadtest.shows.stale_while_revalidate`: a stale answer for a crowd, one fetch behind it.

The origin says `stale-while-revalidate`. When its answer is stale and it has another one, a thousand clients
ask in one instant, while the origin is held: all must get the stale answer without waiting for it.
"""

from __future__ import annotations

import sys

from loadtest.shows.report import Report, main
from loadtest.shows.stage import Stage, scaled, staged, times, whole
from origin_stub import body_of

CLIENTS = 1_000
_PATH = "/swr"
_BYTES = 10 * 1024
_TARGET = f"{_PATH}?size={_BYTES}&etag=1&cc=max-age=1,stale-while-revalidate=60"


async def play(size: float = 1.0) -> Report:
    """The show."""
    report = Report("stale-while-revalidate: one fetch behind a crowd that is answered at once (RFC 5861 §3)")
    clients = scaled(CLIENTS, size)
    async with staged() as stage:
        await _play(stage, clients, report)
    return report


async def _play(stage: Stage, clients: int, report: Report) -> None:
    old, new = body_of(_PATH, _BYTES), body_of(_PATH, _BYTES, version=1)
    first = await stage.ask(_TARGET)
    report.expect("the first client gets the origin's answer", holds=first.body == old)
    await stage.until_stale(_TARGET)
    await stage.tell_origin("touch", path=_PATH)
    await stage.tell_origin("fail", path=_PATH, behaviour="cc=max-age=600", times=1)
    await stage.tell_origin("hold", path=_PATH)
    crowd = await stage.herd(_TARGET, clients, old)

    async def one_is_held() -> bool:
        return await stage.held(_PATH) == 1

    await stage.until(one_is_held)
    fetches = await stage.fetches(_PATH) - 1
    report.fact("clients at the stale answer", f"{clients:,}")
    report.fact("got the stale answer at once", whole(crowd))
    report.fact("their times, the origin held", times(crowd.last_byte_s))
    report.fact("fetches behind them", f"{fetches:,}")
    report.expect("all get the whole stale answer while the origin is held", holds=crowd.is_whole)
    report.expect("exactly one fetch runs behind them", holds=fetches == 1)
    await stage.tell_origin("release", path=_PATH)

    async def is_new() -> bool:
        return (await stage.ask(_TARGET)).body == new

    await stage.until(is_new)
    later = await stage.herd(_TARGET, clients, new)
    fetches = await stage.fetches(_PATH)
    report.fact("got the new answer afterwards", whole(later))
    report.fact("fetches that the origin saw in all", f"{fetches:,}")
    report.expect("once the fetch has come, all get the new answer", holds=later.is_whole)
    report.expect("the origin was asked twice in all", holds=fetches == 2)


if __name__ == "__main__":
    sys.exit(main(play, __doc__))
