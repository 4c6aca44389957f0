"""`python -m loadtest.shows.stale_if_error`: a crowd gets the stale answer while the origin fails.

The origin fails in each of its ways in turn: with 503, by a reset, by breaking off in the middle of the body,
by refusing connections. A crowd asks each time. What the origin said `must-revalidate` of is not stood in
for. When the origin is well again, the crowd gets what it has then.
"""

from __future__ import annotations

import sys

from loadtest.shows.report import Report, main
from loadtest.shows.stage import Stage, scaled, staged, times, whole
from origin_stub import body_of

CLIENTS = 1_000
_PATH = "/sie"
_BYTES = 10 * 1024
_TARGET = f"{_PATH}?size={_BYTES}&etag=1&cc=max-age=1,stale-if-error=600"
_STRICT_PATH = "/strict"
_STRICT_TARGET = f"{_STRICT_PATH}?size={_BYTES}&etag=1&cc=max-age=1,must-revalidate"
_FAILURES = {
    "answers 503": "fail=1:503",
    "resets the connection": "reset=1",
    "closes without an answer": "raw=empty",
}
_REFUSES_S = 2.0


async def play(size: float = 1.0) -> Report:
    """The show."""
    report = Report("stale-if-error: the stale answer stands in for a failing origin (RFC 5861 §4)")
    async with staged() as stage:
        await _play(stage, scaled(CLIENTS, size), report)
    return report


async def _play(stage: Stage, clients: int, report: Report) -> None:
    old, new = body_of(_PATH, _BYTES), body_of(_PATH, _BYTES, version=1)
    for target in (_TARGET, _STRICT_TARGET):
        await stage.ask(target)
    await stage.until_stale(_TARGET)
    await stage.until_stale(_STRICT_TARGET)
    await stage.tell_origin("touch", path=_PATH)
    report.fact("clients each time", f"{clients:,}")
    for failure, behaviour in _FAILURES.items():
        await stage.tell_origin("fail", path=_PATH, behaviour=behaviour)
        await _crowd_gets_stale(stage, clients, old, report, failure)
    await stage.tell_origin("fail", path=_STRICT_PATH, behaviour="fail=1:503")
    strict = await stage.ask(_STRICT_TARGET)
    report.expect("what must be revalidated is not stood in for", holds=strict.status == 503)
    await stage.tell_origin("reset")
    await stage.tell_origin("refuse", seconds=_REFUSES_S)
    crowd = await stage.herd(_TARGET, clients, old)
    report.fact("origin refuses connections: got the stale answer", whole(crowd))
    report.expect("all get the stale answer when the origin refuses connections", holds=crowd.is_whole)
    await _is_well_again(stage, clients, new, report)


async def _crowd_gets_stale(stage: Stage, clients: int, old: bytes, report: Report, failure: str) -> None:
    before = await stage.fetches(_PATH)
    crowd = await stage.herd(_TARGET, clients, old)
    fetches = await stage.fetches(_PATH) - before
    report.fact(f"origin {failure}: got the stale answer", whole(crowd))
    report.fact(f"origin {failure}: times", times(crowd.last_byte_s))
    report.fact(f"origin {failure}: requests it saw", f"{fetches:,}")
    report.expect(f"all get the stale answer when the origin {failure}", holds=crowd.is_whole)
    # The crowd's connections are read in rounds of the loop: who comes after the failure asks once more.
    report.expect(
        f"the origin that {failure} sees a few requests, no crowd", holds=fetches <= max(5, clients // 20)
    )


async def _is_well_again(stage: Stage, clients: int, new: bytes, report: Report) -> None:
    async def is_new() -> bool:
        return (await stage.ask(_TARGET)).body == new

    # The stub's reset has forgotten the touch as well: it is given anew, while the listener is away, too.
    await stage.until(lambda: _is_back(stage))
    await stage.tell_origin("touch", path=_PATH)
    await stage.until(is_new)
    crowd = await stage.herd(_TARGET, clients, new)
    report.fact("origin is well again: got the new answer", whole(crowd))
    report.expect("all get the new answer when the origin is well again", holds=crowd.is_whole)


async def _is_back(stage: Stage) -> bool:
    try:
        await stage.fetches(_PATH)
    except OSError:
        return False
    return True


if __name__ == "__main__":
    sys.exit(main(play, __doc__))
