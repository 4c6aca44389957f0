"""The compressor: each stored body is compressed once for each coding, off the event loop.

Theory of operation. Whoever needs a body in a coding asks `coded`. The first to ask starts a job in the
thread pool, those who come while it runs wait for the same job, those who come later find its result.
The result belongs to the *body*, not to the entry: a 304 that freshens an entry keeps the body, and with
it its codings; a purge drops the body, and its codings with it (a weak reference tells us). So nothing
here can bring a purged answer back: who does not reach the body through the cache does not ask.

"As it is" is always a right answer, so there is no waiting for room and no retry: when the queue is full,
a body does not shrink, or an encoder fails, the answer is None and the client gets identity. The latter
two are remembered with the body.

Rejected: compressing while the fill streams (the herd on a cold key would wait for the encoder), and
storing the coded answer as an entry of its own (it would have to be found by each purge and each 304).
"""

from __future__ import annotations

import asyncio
import logging
import weakref
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from cachetools import LRUCache

from proxy.coalesce.body import SharedBody
from proxy.compression.encoder import Encode
from proxy.compression.encoders import encoder_of, level_of
from proxy.config.settings import CompressionSettings, CompressorSettings, ContentCoding
from proxy.tasks import spawn

logger = logging.getLogger(__name__)

_OVERHEAD_BYTES = 512
"""Charged to each result beyond its octets."""

_Place = tuple[int, ContentCoding, int]


@dataclass(frozen=True, slots=True)
class CompressorStatistics:
    """Counters since the start, and what is kept and runs now.

    Every question is one of `served` (a result was there), `joined` (a job ran), `compressed + unchanged +
    failed` (it started one, once that has ended) or `refused` (no room).
    """

    served: int
    joined: int
    compressed: int
    unchanged: int
    """Bodies that did not get smaller."""
    failed: int
    refused: int
    running: int
    kept: int
    kept_bytes: int
    input_bytes: int
    output_bytes: int


@dataclass(frozen=True, slots=True)
class Coded:
    """What came of a body: its coding, or None where it is sent as it is. `identity` keeps the watch."""

    identity: weakref.ref[SharedBody]
    body: SharedBody | None

    def size_bytes(self) -> int:
        return _OVERHEAD_BYTES + (self.body.received_bytes if self.body is not None else 0)


class Compressor:
    """Compresses stored bodies, within bounds. One event loop owns it."""

    def __init__(self, settings: CompressorSettings) -> None:
        self._settings = settings
        self._pool = ThreadPoolExecutor(settings.threads, thread_name_prefix="compress")
        self._results: LRUCache[_Place, Coded] = LRUCache(settings.max_bytes, getsizeof=Coded.size_bytes)
        self._jobs: dict[_Place, asyncio.Task[SharedBody | None]] = {}
        self._queued_bytes = 0
        # bodies may die in a pool thread, where the collector happened to run: there only this is touched
        self._gone: deque[_Place] = deque()
        self._served = self._joined = self._compressed = self._unchanged = self._failed = self._refused = 0
        self._input_bytes = self._output_bytes = 0

    def __repr__(self) -> str:
        return f"<Compressor {len(self._jobs)} running, {len(self._results)} kept>"

    def statistics(self) -> CompressorStatistics:
        """Counters since the start."""
        self._forget_gone()
        return CompressorStatistics(
            served=self._served,
            joined=self._joined,
            compressed=self._compressed,
            unchanged=self._unchanged,
            failed=self._failed,
            refused=self._refused,
            running=len(self._jobs),
            kept=len(self._results),
            kept_bytes=int(self._results.currsize),
            input_bytes=self._input_bytes,
            output_bytes=self._output_bytes,
        )

    def find(self, body: SharedBody, coding: ContentCoding, *, settings: CompressionSettings) -> Coded | None:
        """What came of this body earlier; None if nothing is known of it."""
        self._forget_gone()
        found = self._results.get((id(body), coding, level_of(coding, settings)))
        self._served += found is not None
        return found

    async def coded(
        self, body: SharedBody, coding: ContentCoding, *, settings: CompressionSettings
    ) -> SharedBody | None:
        """The whole body in this coding; None if it is to be sent as it is. `body` must be whole.

        A client that leaves while it waits takes nothing from the others.
        """
        assert body.whole, f"only a whole body can be compressed, not {body!r}"
        result = self.find(body, coding, settings=settings)
        if result is not None:
            return result.body
        place = (id(body), coding, level_of(coding, settings))
        job = self._jobs.get(place)
        if job is not None:
            self._joined += 1
        elif not self._has_room(body):
            self._refused += 1
            return None
        else:
            job = self._start(place, body, encoder_of(coding, settings))
        try:
            return await asyncio.shield(job)
        except asyncio.CancelledError:
            if job.cancelled():  # we were closed, not our caller
                return None
            raise

    def close(self) -> None:
        """Stop; who waits gets None."""
        for job in self._jobs.values():
            job.cancel()
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _has_room(self, body: SharedBody) -> bool:
        if len(self._jobs) >= self._settings.max_queue:
            return False
        return self._queued_bytes + body.received_bytes <= self._settings.max_queue_bytes

    def _start(self, place: _Place, body: SharedBody, encode: Encode) -> asyncio.Task[SharedBody | None]:
        job = self._jobs[place] = spawn(self._run(place, body, encode), name=f"compress {place[1]}")
        self._queued_bytes += body.received_bytes
        job.add_done_callback(lambda _: self._ended(place, body.received_bytes))
        return job

    def _ended(self, place: _Place, octets: int) -> None:
        del self._jobs[place]
        self._queued_bytes -= octets

    async def _run(self, place: _Place, body: SharedBody, encode: Encode) -> SharedBody | None:
        coded: SharedBody | None = None
        try:
            loop = asyncio.get_running_loop()
            pieces = await loop.run_in_executor(self._pool, _encoded, encode, tuple(body.pieces))
        except Exception:
            logger.exception("compression_failed coding=%s bytes=%d", place[1], body.received_bytes)
            self._failed += 1
        else:
            coded = self._judged(body, SharedBody.complete(pieces))
        result = Coded(weakref.ref(body, lambda _: self._gone.append(place)), coded)
        if result.size_bytes() <= self._results.maxsize:
            self._results[place] = result
        return coded

    def _judged(self, body: SharedBody, coded: SharedBody) -> SharedBody | None:
        if coded.received_bytes >= body.received_bytes:
            self._unchanged += 1
            return None
        self._compressed += 1
        self._input_bytes += body.received_bytes
        self._output_bytes += coded.received_bytes
        return coded

    def _forget_gone(self) -> None:
        """Before each look-up: a place that is gone may already be another body's."""
        while self._gone:
            self._results.pop(self._gone.popleft(), None)


def _encoded(encode: Encode, pieces: tuple[bytes, ...]) -> list[bytes]:
    return [piece for piece in encode(pieces) if piece]
