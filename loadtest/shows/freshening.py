"""`python -m loadtest.shows.freshening`: one 304 makes a stale answer fresh for a crowd.

A megabyte is stored with a validator. When it is stale, a thousand clients ask in one instant: the origin
must be asked once, with the condition, and send its 304 without the body. Then it has another body.
"""

from __future__ import annotations

import sys

from loadtest.shows.report import Report, main
from loadtest.shows.stage import Stage, scaled, staged, times, whole
from origin_stub import body_of

CLIENTS = 1_000
_PATH = "/fresh"
_BYTES = 1024 * 1024
_VALIDATORS = {"entity tag": "etag=1", "weak entity tag": "etag=weak", "date": "lm=86400"}
_CONDITIONS = {"entity tag": "If-None-Match", "weak entity tag": "If-None-Match", "date": "If-Modified-Since"}


async def play(size: float = 1.0) -> Report:
    """The show."""
    report = Report("304 freshening: a stale answer is validated once for a crowd (RFC 9111 §4.3)")
    clients = scaled(CLIENTS, size)
    report.fact("clients each time", f"{clients:,}")
    async with staged() as stage:
        for validator in _VALIDATORS:
            await _play(stage, validator, clients, report)
    return report


async def _play(stage: Stage, validator: str, clients: int, report: Report) -> None:
    path = f"{_PATH}/{validator.replace(' ', '-')}"
    target = f"{path}?size={_BYTES}&{_VALIDATORS[validator]}&cc=max-age=1"
    old, new = body_of(path, _BYTES), body_of(path, _BYTES, version=1)
    await stage.ask(target)
    await stage.until_stale(target)
    # Fresh for long from the 304 on, so that those who come late of the crowd find it fresh.
    await stage.tell_origin("fail", path=path, behaviour="cc=max-age=600", times=1)
    crowd = await stage.herd(target, clients, old)
    counted = await stage.counted(path)
    sent = {name for name, _ in counted["last_headers"]}
    after = await stage.ask(target)
    report.fact(f"{validator}: got the whole stored megabyte", whole(crowd))
    report.fact(f"{validator}: times", times(crowd.last_byte_s))
    report.fact(f"{validator}: what the origin answered", _statuses(counted["statuses"]))
    report.expect(f"by {validator}: all get the whole stored body", holds=crowd.is_whole)
    report.expect(
        f"by {validator}: the origin sent one 200 and one 304",
        holds=counted["statuses"] == {"200": 1, "304": 1},
    )
    report.expect(
        f"by {validator}: it was asked with {_CONDITIONS[validator]}", holds=_CONDITIONS[validator] in sent
    )
    report.expect(
        f"by {validator}: the Age counts from the 304 and the new lifetime holds",
        holds="hit" in after.cache_status and after.age_s <= 5 and "600" in after.fields["Cache-Control"],
    )
    await stage.tell_origin("touch", path=path)
    await stage.tell_origin("fail", path=path, behaviour="cc=max-age=600", times=1)
    await stage.purge(url=stage.lockgate.url + target, soft=True)
    changed = await stage.herd(target, clients, new)
    report.fact(f"{validator}: got the body that took its place", whole(changed))
    report.expect(f"by {validator}: all get the new body once there is one", holds=changed.is_whole)
    report.expect(
        f"by {validator}: the origin was asked three times in all", holds=await stage.fetches(path) == 3
    )


def _statuses(counted: dict[str, int]) -> str:
    return ", ".join(f"{count} × {status}" for status, count in sorted(counted.items()))


if __name__ == "__main__":
    sys.exit(main(play, __doc__))
