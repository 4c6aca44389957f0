"""Random damage and random cuts, differentially: what passes must be what a strict reader allows.

`LOCKGATE_FUZZ=100` makes a hundred times as many examples.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path

import pytest
import uvloop
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

from tests.hostile.arena import Arena, get
from tests.hostile.mutations import Edit, cut, cuts, damaged, edits
from tests.hostile.readings import (
    Incomplete,
    Message,
    NotHttp,
    allowed_requests,
    allowed_response,
    strict_response,
)
from tests.hostile.recording import answer

EXAMPLES = 200 * int(os.environ.get("LOCKGATE_FUZZ") or 1)
pytestmark = pytest.mark.slow
SHORT = {"head_timeout_s": 0.03, "idle_timeout_s": 0.03, "body_timeout_s": 0.03}

Run = Callable[[Coroutine[object, object, None]], None]


class Ring:
    """One arena for all examples of a test."""

    def __init__(self, arena: Arena, loop: asyncio.AbstractEventLoop) -> None:
        self.arena = arena
        self.run: Run = loop.run_until_complete


@pytest.fixture(params=[asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def ring(request: pytest.FixtureRequest, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> Iterator[Ring]:
    loop = request.param()
    arena = Arena(tmp_path, caplog, limits=SHORT, innocents_stay=False)
    loop.run_until_complete(arena.__aenter__())
    yield Ring(arena, loop)
    loop.run_until_complete(arena.__aexit__(None, None, None))
    loop.run_until_complete(loop.shutdown_asyncgens())
    loop.close()


fuzzing = settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)

HOST = b"Host: shop.example\r\n"
REQUESTS = [
    get(b"/a"),
    get(b"/a?b=c", b"Accept: */*", b"X-Odd: \xff"),
    b"POST /b HTTP/1.1\r\n" + HOST + b"Content-Length: 5\r\n\r\nhello",
    b"POST /c HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    b"POST /d HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n0\r\nX: y\r\n\r\n",
    b"PUT /e HTTP/1.1\r\n" + HOST + b"Content-Length: 45\r\n\r\n" + get(b"/another"),
    get(b"/f", b"Content-Length: 5") + b"hello",
    get(b"/g", method=b"DELETE"),
    get(b"/h", b"Connection: Upgrade", b"Upgrade: h2c"),
    b"GET http://shop.example/i HTTP/1.1\r\n" + HOST + b"\r\n",
    b"GET /j HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
]


def _echo(request: Message) -> bytes:
    return answer(b"%b %b|%b" % (*request.start, request.body), b"Cache-Control: no-store")


def _as_forwarded(request: Message) -> tuple[bytes, bytes, bytes]:
    method, target = request.start
    if target.lower().startswith(b"http://"):
        rest = target[7:]
        at = min((rest.find(mark) for mark in (b"/", b"?") if mark in rest), default=len(rest))
        target = rest[at:] if rest[at : at + 1] == b"/" else b"/" + rest[at:]
    return method, target, request.body


@fuzzing
@given(which=st.lists(st.sampled_from(REQUESTS), min_size=1, max_size=4), edits=edits(), places=cuts())
def test_the_origin_sees_only_what_a_strict_reader_allows(
    ring: Ring, which: list[bytes], edits: list[Edit], places: list[int]
) -> None:
    octets = damaged(b"".join(which), edits)
    allowed = [_as_forwarded(request) for request in allowed_requests(octets)]
    note(f"sent {octets!r}")
    note(f"allowed {allowed!r}")

    async def example() -> None:
        origin = ring.arena.origin
        origin.otherwise = _echo
        origin.log.clear()
        answers = await ring.arena.attack(*cut(octets, places))
        seen = [(*request.start, request.body) for request in origin.log]
        note(f"seen {seen!r}")
        note(f"answers {answers!r}")
        assert seen == allowed[: len(seen)]
        _check_answers(answers, seen)

    ring.run(example())


def _check_answers(answers: bytes, seen: list[tuple[bytes, bytes, bytes]]) -> None:
    """One answer to each request, in order, then at most one refusal."""
    for method, target, body in seen:
        if not answers:
            return  # the client was gone by then, as for a cut
        response, end = strict_response(answers, method=method, closed=True)
        if response.start[0] not in (b"200",):
            break
        if method != b"HEAD":
            assert response.body == b"%b %b|%b" % (method, target, body)
        answers = answers[end:]
    if answers:
        response, end = strict_response(answers, closed=True)
        assert int(response.start[0]) >= 400
        assert answers[end:] == b""


ANSWERS = [
    answer(b"hello"),
    answer(b"hello", b"Cache-Control: max-age=60"),
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n0\r\nX: y\r\n\r\n",
    b"HTTP/1.1 204 No Content\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhello",
    b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello",
    b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + answer(b"hello"),
    b"HTTP/1.1 404 Not Found\r\nContent-Length: 3\r\nVary: X\r\n\r\nabc",
    b'HTTP/1.1 304 Not Modified\r\nETag: "x"\r\n\r\n',
]


@fuzzing
@given(octets=st.sampled_from(ANSWERS), edits=edits(), surplus=st.sampled_from([b"", *ANSWERS]))
def test_a_client_gets_what_a_strict_reader_allows_or_an_error(
    ring: Ring, octets: bytes, edits: list[Edit], surplus: bytes
) -> None:
    sent = damaged(octets + surplus, edits)
    allowed = allowed_response(sent)
    note(f"sent {sent!r}")
    note(f"allowed {allowed!r}")
    count = next(_counter)

    async def example() -> None:
        target = b"/answer/%d" % count
        ring.arena.origin.on(target, sent)
        ring.arena.origin.cut_after.add(target)
        received = await ring.arena.attack(get(target, b"Connection: close"))
        note(f"received {received!r}")
        try:
            response, end = strict_response(received, closed=True)
        except Incomplete:
            return  # cut, and it looks so
        except NotHttp as defect:
            raise AssertionError(f"{defect}") from defect
        assert received[end:] == b""
        if response.start[0] in (b"502", b"503") and response.get(b"cache-control") == b"no-store":
            return
        assert allowed is not None
        assert (response.start[0], response.body) == (allowed.start[0], allowed.body)

    ring.run(example())


_counter = iter(range(10**9))
