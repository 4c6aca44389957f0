"""Locust users: a herd, a live-video audience, and a mixed workload.

    .venv/bin/locust -f loadtest/locustfile.py --host http://127.0.0.1:8080 LiveViewer

Each body is compared with what the origin stub gives for its path. `make load` runs one kind headless,
against the stub alone and behind Lockgate, and compares; for that, what each exchange got is written to
the file named by LOADTEST_RESULT. `time.sleep` waits for one user only: locust has made it gevent's.
"""

from __future__ import annotations

import json
import os
import random
import time
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

from locust import FastHttpUser, constant, events, task

from loadtest.outcomes import outcome_of
from origin_stub.body import body_of

_SEED = 1
_HERD_PERIOD_S = 2.0
_HERD_BYTES = 10 * 1024
_OBJECTS = 1_000
_ZIPF_EXPONENT = 1.0
_PRIVATE_SHARE = 0.1

_records: list[dict[str, object]] = []


class _Visitor(FastHttpUser):
    """What all of them do: ask, check the body, note what it took."""

    abstract = True
    wait_time = constant(0)

    def ask(self, target: str, name: str, **options: Any) -> bytes | None:
        """Get the target; None when it failed, which locust has counted then."""
        path = target.partition("?")[0]
        began_mono = time.perf_counter()
        with self.client.get(target, name=name, catch_response=True, **options) as answer:
            body: bytes = answer.content or b""
            ended_mono = time.perf_counter()
            if answer.status_code != 200:
                answer.failure(f"status {answer.status_code}")
                return None
            _records.append(
                {
                    "path": path,
                    "began_mono": began_mono,
                    "ended_mono": ended_mono,
                    "outcome": outcome_of(answer.headers.get("Cache-Status", "")),
                }
            )
            complaint = self.check(path, body, answer.headers)
            if complaint:
                answer.failure(complaint)
        return body

    def check(self, path: str, body: bytes, headers: Any) -> str | None:
        """What is wrong with the body; None if it is the one that the stub gives for the path."""
        return None if body == body_of(path, len(body)) and body else "another body than the origin's"


class HerdClient(_Visitor):
    """One of many who ask for the same new key in the same instant, every two seconds."""

    @task
    def stampede(self) -> None:
        """Wait for the clock's next even second, then ask."""
        now = time.time()
        number = int(now / _HERD_PERIOD_S) + 1
        time.sleep(number * _HERD_PERIOD_S - now)
        self.ask(f"/herd/{number}?delay=0.2&size={_HERD_BYTES}&cc=max-age=60", "/herd/[n]")


class LiveViewer(_Visitor):
    """A viewer who follows the playlist and takes each segment when it appears."""

    channel = "/live/news/index.m3u8"

    def on_start(self) -> None:
        """Begin with the newest segment, as a player near the live edge does."""
        self._seen: str | None = None
        time.sleep(random.random())

    @task
    def follow(self) -> None:
        """Reload the playlist once, fetch what is new in it, and wait for half a segment.

        Source: RFC 8216 §6.3.4.
        """
        began_mono = time.perf_counter()
        playlist = self.ask(self.channel, self.channel)
        segment_s = 2.0
        if playlist is not None:
            lines = playlist.decode().splitlines()
            segment_s = float(next(line for line in lines if line.startswith("#EXTINF")).split(":")[1][:-1])
            for segment in self._new([line for line in lines if line and not line.startswith("#")]):
                self.ask(urljoin(self.channel, segment), "/live/news/segment-[n].ts")
        time.sleep(max(0.0, segment_s / 2 - (time.perf_counter() - began_mono)))

    def _new(self, segments: list[str]) -> list[str]:
        after = segments.index(self._seen) + 1 if self._seen in segments else len(segments) - 1
        self._seen = segments[-1]
        return segments[after:]

    def check(self, path: str, body: bytes, headers: Any) -> str | None:
        """The playlist is text; segments are verified octet by octet."""
        if path == self.channel:
            return None if body.startswith(b"#EXTM3U\n") else "no playlist"
        return super().check(path, body, headers)


class MixedVisitor(_Visitor):
    """Zipf over a thousand objects of different sizes and lifetimes; one request in ten is private."""

    _weights = tuple(1 / (rank + 1) ** _ZIPF_EXPONENT for rank in range(_OBJECTS))

    def on_start(self) -> None:
        """A name of one's own, to know one's own answers by."""
        self._who = f"visitor-{id(self)}"

    @task
    def visit(self) -> None:
        """One request, then a short pause."""
        if random.random() < _PRIVATE_SHARE:
            headers = {"X-Who": self._who, "Cookie": f"session={self._who}"}
            self.ask("/private/me?unique=1&cc=private&delay=0.02", "/private/me", headers=headers)
        else:
            number = random.choices(range(_OBJECTS), self._weights)[0]
            chance = random.Random(_SEED + number)
            size = int(min(500_000, 2_000 * chance.paretovariate(1.0)))
            lifetime_s = chance.choice((2, 10, 60))
            self.ask(f"/object/{number}?delay=0.05-0.3&size={size}&cc=max-age={lifetime_s}", "/object/[n]")
        time.sleep(random.expovariate(5))

    def check(self, path: str, body: bytes, headers: Any) -> str | None:
        """A private answer names the one who asked."""
        if path.startswith("/private/"):
            told = json.loads(body)
            mine = told["who"] == self._who and told["cookie"] == f"session={self._who}"
            return None if mine else f"the answer of {told['who']}"
        return super().check(path, body, headers)


def _write_records(**_: Any) -> None:
    file = os.environ.get("LOADTEST_RESULT")
    if file:
        Path(file).write_text(json.dumps(_records))


events.quitting.add_listener(_write_records)  # type: ignore[no-untyped-call]  # locust leaves it so
