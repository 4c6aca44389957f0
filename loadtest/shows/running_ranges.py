"""`python -m loadtest.shows.running_ranges`: parts of a body that is still on its way.

The origin is held in the middle of a large body. Clients ask for parts: those that have come must be answered
while the origin is held, those that have not wait for it, and nothing of this makes a second request.
"""

from __future__ import annotations

import asyncio
import sys
from dataclasses import dataclass

from loadtest.shows.report import Report, main
from loadtest.shows.stage import Answer, Stage, scaled, staged, times
from origin_stub import body_of

BYTES = 32 * 1024 * 1024
CLIENTS = 500
_LEAST_BYTES = 256 * 1024
_PART_BYTES = 4096
_AHEAD_BYTES = 16 * 1024
_PATH = "/film"


@dataclass(frozen=True, slots=True)
class _Part:
    """Octets `start` up to `stop`."""

    start: int
    stop: int

    @property
    def field(self) -> str:
        return f"bytes={self.start}-{self.stop - 1}"

    def is_in(self, answer: Answer, body: bytes) -> bool:
        told = f"bytes {self.start}-{self.stop - 1}/{len(body)}"
        return (
            answer.status == 206
            and answer.fields.get("Content-Range") == told
            and answer.body == body[self.start : self.stop]
        )


async def play(size: float = 1.0) -> Report:
    """The show."""
    report = Report("ranges out of a running fill (RFC 9110 §14)")
    length = scaled(BYTES, size, at_least=_LEAST_BYTES)
    async with staged() as stage:
        await _play(stage, length, scaled(CLIENTS, size), report)
    return report


async def _play(stage: Stage, length: int, clients: int, report: Report) -> None:
    body = body_of(_PATH, length)
    half = length // 2
    target = f"{_PATH}?size={length}&etag=1&cc=max-age=600"
    await stage.tell_origin("hold", path=_PATH, after_bytes=half)
    async with asyncio.TaskGroup() as tasks:
        leader = tasks.create_task(stage.ask(target))
        await stage.until(lambda: _has_come(stage, target, half))
        step = max(1, (half - _PART_BYTES) // clients)
        early = [_Part(start, start + _PART_BYTES) for start in range(0, half - _PART_BYTES, step)][:clients]
        answers = await asyncio.gather(*(stage.ask(target, range=part.field) for part in early))
        report.expect("the origin is held all the while", holds=await stage.held(_PATH) == 1)
        coming = [_Part(half - 100, half + 100), _Part(half + _AHEAD_BYTES, half + _AHEAD_BYTES + 1000)]
        late = [tasks.create_task(stage.ask(target, range=part.field)) for part in coming]
        several = tasks.create_task(stage.ask(target, range="bytes=0-99,1000-1099"))
        await stage.until(lambda: _waiting(stage, target, 1 + len(late) + 1))
        shared = await stage.fetches(_PATH)
        end = await stage.ask(target, range="bytes=-500")
        report.expect("the end of the body does not wait for the middle", holds=not leader.done())
        await stage.tell_origin("release", path=_PATH)
    beyond = await stage.ask(target, range=f"bytes={length}-")
    parts = await stage.ask(target, range="bytes=0-99,1000-1099")
    right = sum(part.is_in(answer, body) for part, answer in zip(early, answers, strict=True))
    report.fact("octets of the body", f"{length:,}, of which {half:,} have come")
    report.fact("parts asked for of what has come", f"{len(early):,}")
    report.fact("answered rightly while the origin is held", f"{right:,}")
    report.fact("their times", times([answer.took_s for answer in answers]))
    report.fact("requests that the origin saw until then", f"{shared:,}")
    report.expect("each part that has come is answered at once: 206, its octets", holds=right == len(early))
    waited = all(part.is_in(task.result(), body) for part, task in zip(coming, late, strict=True))
    report.expect("parts across the front and ahead of it wait for it and are right", holds=waited)
    report.expect("several parts of a fill come as the whole", holds=several.result().body == body)
    report.expect("the origin was asked once for all of them", holds=shared == 1)
    report.expect(
        "the last 500 octets are asked for by themselves and are right",
        holds=_Part(length - 500, length).is_in(end, body) and await stage.fetches(_PATH) == 2,
    )
    report.expect("the leader gets the whole body", holds=leader.result().body == body)
    report.expect("once stored, several parts come as multipart/byteranges", holds=_is_multipart(parts, body))
    report.expect("once stored, a part beyond the end is refused with 416", holds=beyond.status == 416)


async def _has_come(stage: Stage, target: str, octets: int) -> bool:
    flight = (await stage.explain(target))["flight"]
    return flight is not None and int(flight["received_bytes"]) >= octets


async def _waiting(stage: Stage, target: str, clients: int) -> bool:
    flight = (await stage.explain(target))["flight"]
    return flight is not None and int(flight["seats"]) >= clients


def _is_multipart(answer: Answer, body: bytes) -> bool:
    return (
        answer.status == 206
        and answer.fields["Content-Type"].startswith("multipart/byteranges")
        and body[:100] in answer.body
        and body[1000:1100] in answer.body
    )


if __name__ == "__main__":
    sys.exit(main(play, __doc__))
