"""What every adapter of the origin port promises; run over the one with sockets and the one in memory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from functools import partial

import pytest

from proxy.clock import SystemClock
from proxy.config.settings import OriginSettings
from proxy.errors import (
    ClientGone,
    OriginBodyCut,
    OriginOverloaded,
    OriginProtocolError,
    OriginTimeout,
    OriginUnreachable,
)
from proxy.http.fields import Fields
from proxy.http.messages import ResponseHead
from proxy.origin.client import OriginClient
from proxy.origin.port import ForwardRequest, Framing, Origin, OriginResponse
from proxy.tasks import spawn
from tests.origin.memory_origin import MemoryOrigin
from tests.origin.planned import Answer, Plan
from tests.origin.planned_server import PlannedServer
from tests.origin.request_bodies import ScriptedBody
from tests.origin.scripted import ScriptedOrigin
from tests.origin.waiting import Gate, soon, until

HOST = (b"Host", b"example.org")


@dataclass
class Stage:
    """An origin behind the port, and what it is to answer."""

    origin: Origin
    plan: Plan
    refuse: Callable[[], None]
    outstanding: Callable[[], int]
    queued: Callable[[], int]


Build = Callable[..., Awaitable[Stage]]


@pytest.fixture(params=["sockets", "memory"])
async def build(request: pytest.FixtureRequest) -> AsyncIterator[Build]:
    """Makes a stage with the given origin settings."""
    endings: list[Callable[[], Awaitable[object]]] = []

    async def in_memory(**settings: object) -> Stage:
        origin = MemoryOrigin(settings=OriginSettings(addresses=("http://memory.example",), **settings))
        return Stage(origin, origin.plan, origin.refuse, lambda: origin.outstanding, lambda: origin.queued)

    async def over_sockets(**settings: object) -> Stage:
        scripted = ScriptedOrigin()
        await scripted.listen()
        plan = Plan()
        server = PlannedServer(scripted, plan)
        server.start()
        client = OriginClient(
            "sockets", OriginSettings(addresses=(scripted.url,), **settings), clock=SystemClock()
        )
        endings.extend((client.close, server.stop, partial(scripted.__aexit__, None, None, None)))
        return Stage(
            client,
            plan,
            scripted.refuse,
            lambda: client.statistics().outstanding,
            lambda: client.statistics().queued,
        )

    yield over_sockets if request.param == "sockets" else in_memory
    for end in endings:
        await soon(end())


@pytest.fixture
async def stage(build: Build) -> Stage:
    return await build()


def get(target: bytes = b"/a", method: str = "GET", **parts: object) -> ForwardRequest:
    return ForwardRequest(method, target, Fields([HOST]), **parts)  # type: ignore[arg-type]


async def read_all(response: OriginResponse) -> bytes:
    """The whole body; the response is closed."""
    pieces = []
    try:
        while piece := await soon(response.read()):
            pieces.append(piece)
    finally:
        response.close()
    return b"".join(pieces)


@pytest.mark.parametrize("framing", [Framing.LENGTH, Framing.CHUNKED, Framing.CLOSE])
async def test_a_body_comes_whole_in_each_framing(stage: Stage, framing: Framing) -> None:
    body = bytes(range(256)) * 512
    stage.plan.on(b"/a", Answer(fields=((b"ETag", b'"x"'),), body=body, framing=framing))
    response = await soon(stage.origin.send(get()))
    assert (response.head.status, response.head.reason) == (200, b"Because")
    assert response.head.fields.get(b"etag") == b'"x"'
    assert response.framing is framing
    assert response.length == (len(body) if framing is Framing.LENGTH else None)
    assert response.tunnel is None
    assert await read_all(response) == body


@pytest.mark.parametrize(("method", "status"), [("HEAD", 200), ("GET", 204), ("GET", 304), ("HEAD", 404)])
async def test_some_answers_have_no_body_whatever_they_declare(
    stage: Stage, method: str, status: int
) -> None:
    stage.plan.on(b"/a", Answer(status=status, body=b"never sent"))
    response = await soon(stage.origin.send(get(method=method)))
    assert (response.framing, response.length) == (Framing.NONE, 0)
    assert await read_all(response) == b""


async def test_an_empty_body_ends_at_once_and_again(stage: Stage) -> None:
    stage.plan.on(b"/a", Answer(body=b""))
    response = await soon(stage.origin.send(get()))
    assert await soon(response.read()) == b""
    assert await soon(response.read()) == b""
    response.close()
    response.close()
    assert await soon(response.read()) == b""


async def test_a_body_that_was_closed_unread_is_never_taken_for_an_empty_one(stage: Stage) -> None:
    response = await soon(stage.origin.send(get()))
    response.close()
    with pytest.raises(OriginBodyCut):
        await soon(response.read())


@pytest.mark.parametrize("framing", [Framing.LENGTH, Framing.CHUNKED])
async def test_a_cut_body_gives_its_good_octets_and_then_an_error(stage: Stage, framing: Framing) -> None:
    stage.plan.on(b"/a", Answer(body=b"x" * 1000, framing=framing, cut_at=600))
    response = await soon(stage.origin.send(get()))
    got = b""
    while len(got) < 600:
        got += await soon(response.read())
    assert got == b"x" * 600
    with pytest.raises(OriginBodyCut):
        await soon(response.read())
    with pytest.raises(OriginBodyCut):
        await soon(response.read())
    response.close()
    assert stage.outstanding() == 0


async def test_a_cut_before_the_head_is_an_error_without_an_answer(stage: Stage) -> None:
    stage.plan.on(b"/a", Answer(cut_at=-1))
    with pytest.raises(OriginProtocolError):
        await soon(stage.origin.send(get()))
    assert stage.plan.begun[b"/a"] == 1
    assert stage.outstanding() == 0


async def test_informational_answers_come_first_and_in_order(stage: Stage) -> None:
    hints = ResponseHead(103, Fields([(b"Link", b"</a.css>; rel=preload")]), b"Early Hints")
    stage.plan.on(b"/a", Answer(interim=(ResponseHead(102, Fields(), b"Processing"), hints), body=b"A"))
    told: list[ResponseHead] = []
    response = await soon(stage.origin.send(get(), on_informational=told.append))
    assert [head.status for head in told] == [102, 103]
    assert told[1] == hints
    assert await read_all(response) == b"A"


async def test_the_request_arrives_as_it_was_given(stage: Stage) -> None:
    fields = Fields(
        [HOST, (b"X-Latin", b"caf\xe9"), (b"x-lower", b"1"), (b"X-Latin", b"second"), (b"E", b"")]
    )
    response = await soon(stage.origin.send(ForwardRequest("PROPFIND", b"/a?&%2F=\xff", fields)))
    assert await read_all(response) == b"plain"
    asked = stage.plan.asked[0]
    assert (asked.method, asked.target, asked.fields) == ("PROPFIND", b"/a?&%2F=\xff", fields)


@pytest.mark.parametrize("chunked", [False, True])
async def test_a_request_body_arrives_whole(stage: Stage, chunked: bool) -> None:
    pieces = [b"a" * 70_000, b"b", b"c" * 70_000]
    body = ScriptedBody(*pieces, chunked=chunked)
    response = await soon(stage.origin.send(get(method="PUT", body=body)))
    assert await read_all(response) == b"plain"
    assert stage.plan.asked[0].body == b"".join(pieces)


async def test_an_answer_may_come_before_the_request_body_is_through(stage: Stage) -> None:
    never = Gate()
    stage.plan.on(b"/a", Answer(status=413, body=b"too much", early=True))
    body = ScriptedBody(b"x", never, length=10)
    response = await soon(stage.origin.send(get(method="PUT", body=body)))
    assert response.head.status == 413
    assert await read_all(response) == b"too much"
    assert stage.outstanding() == 0


async def test_what_the_request_body_raises_ends_the_request(stage: Stage) -> None:
    body = ScriptedBody(b"x", ClientGone("the client left"), length=10)
    with pytest.raises(ClientGone):
        await soon(stage.origin.send(get(method="PUT", body=body)))
    assert stage.outstanding() == 0


async def test_a_refused_connection_is_unreachable(stage: Stage) -> None:
    stage.refuse()
    with pytest.raises(OriginUnreachable, match="refused"):
        await soon(stage.origin.send(get()))
    assert stage.outstanding() == 0


async def test_no_head_in_time_is_a_time_out(build: Build) -> None:
    stage = await build(first_byte_timeout_s=0.03)
    stage.plan.on(b"/a", Answer(head_gate=Gate()))
    with pytest.raises(OriginTimeout, match="first_byte_timeout_s"):
        await soon(stage.origin.send(get()))
    assert stage.outstanding() == 0


async def test_a_pause_inside_the_body_is_a_time_out(build: Build) -> None:
    stage = await build(between_bytes_timeout_s=0.03)
    stage.plan.on(b"/a", Answer(body=b"x" * 10, body_gate=Gate(), gate_at=4))
    response = await soon(stage.origin.send(get()))
    assert await soon(response.read()) == b"xxxx"
    with pytest.raises(OriginTimeout, match="between_bytes_timeout_s"):
        await soon(response.read())
    response.close()
    assert stage.outstanding() == 0


async def test_a_body_is_streamed_while_it_comes(stage: Stage) -> None:
    gate = Gate()
    stage.plan.on(b"/a", Answer(body=b"first|second", body_gate=gate, gate_at=6))
    response = await soon(stage.origin.send(get()))
    assert await soon(response.read()) == b"first|"
    gate.open()
    assert await read_all(response) == b"second"


async def test_an_upgrade_that_was_asked_for_becomes_a_tunnel(stage: Stage) -> None:
    stage.plan.on(b"/a", Answer(upgrade=b"websocket"))
    response = await soon(stage.origin.send(get(upgrade=b"websocket")))
    assert response.head.status == 101
    assert response.tunnel is not None
    await soon(response.tunnel.write(b"hello"))
    assert await soon(response.tunnel.read()) == b"HELLO"
    response.tunnel.write_eof()
    assert await soon(response.tunnel.read()) == b""
    response.close()


async def test_an_upgrade_may_be_declined(stage: Stage) -> None:
    response = await soon(stage.origin.send(get(upgrade=b"websocket")))
    assert response.tunnel is None
    assert await read_all(response) == b"plain"


async def test_an_upgrade_that_was_not_asked_for_is_an_error(stage: Stage) -> None:
    stage.plan.on(b"/a", Answer(upgrade=b"websocket"))
    with pytest.raises(OriginProtocolError):
        await soon(stage.origin.send(get()))
    assert stage.outstanding() == 0


# The concurrency limit.


async def test_a_slot_is_free_again_when_the_answer_was_read_to_its_end(build: Build) -> None:
    stage = await build(max_concurrency=1)
    for _ in range(3):
        response = await soon(stage.origin.send(get()))
        while await soon(response.read()):
            pass
        assert stage.outstanding() == 0  # though it was not closed yet
        response.close()


async def test_a_slot_is_free_again_when_the_answer_is_closed_early(build: Build) -> None:
    stage = await build(max_concurrency=1)
    stage.plan.on(b"/a", Answer(body=b"x" * 100, body_gate=Gate(), gate_at=50))
    for _ in range(3):
        response = await soon(stage.origin.send(get()))
        assert stage.outstanding() == 1
        response.close()
        assert stage.outstanding() == 0


@pytest.mark.parametrize(
    ("request_to_send", "answer"),
    [
        (get(upgrade=b"websocket"), Answer(upgrade=b"websocket")),
        (get(), Answer(fields=((b"Content-Type", b"text/event-stream; x=y"),), body=b"x", body_gate=Gate())),
    ],
    ids=["tunnel", "event-stream"],
)
async def test_an_answer_without_end_holds_no_slot(
    build: Build, request_to_send: ForwardRequest, answer: Answer
) -> None:
    stage = await build(max_concurrency=1)
    stage.plan.on(b"/a", answer)
    response = await soon(stage.origin.send(request_to_send))
    assert stage.outstanding() == 0
    assert await read_all(await soon(stage.origin.send(get(b"/b")))) == b"plain"
    response.close()


async def test_requests_above_the_limit_go_in_their_order(build: Build) -> None:
    stage = await build(max_concurrency=1)
    gate = Gate()
    stage.plan.on(b"/first", Answer(head_gate=gate))
    first = spawn(stage.origin.send(get(b"/first")), name="first")
    await until(lambda: gate.reached)
    others = []
    for number in range(5):
        others.append(spawn(stage.origin.send(get(b"/%d" % number)), name=str(number)))
        await until(lambda: stage.queued() == len(others))
    gate.open()
    for task in (first, *others):
        await read_all(await soon(task))
    assert [asked.target for asked in stage.plan.asked] == [b"/first", *(b"/%d" % n for n in range(5))]


async def test_a_full_queue_refuses(build: Build) -> None:
    stage = await build(max_concurrency=1, max_queue=0)
    gate = Gate()
    stage.plan.on(b"/a", Answer(head_gate=gate))
    first = spawn(stage.origin.send(get()), name="first")
    await until(lambda: gate.reached)
    with pytest.raises(OriginOverloaded, match="max_queue"):
        await soon(stage.origin.send(get(b"/b")))
    gate.open()
    await read_all(await soon(first))
    assert stage.plan.begun[b"/b"] == 0


async def test_a_long_wait_for_a_slot_is_refused(build: Build) -> None:
    stage = await build(max_concurrency=1, queue_timeout_s=0.02)
    gate = Gate()
    stage.plan.on(b"/a", Answer(head_gate=gate))
    first = spawn(stage.origin.send(get()), name="first")
    await until(lambda: gate.reached)
    with pytest.raises(OriginOverloaded, match="queue_timeout_s"):
        await soon(stage.origin.send(get(b"/b")))
    assert stage.queued() == 0
    gate.open()
    await read_all(await soon(first))
    assert stage.outstanding() == 0


async def test_cancelling_gives_everything_back(build: Build) -> None:
    stage = await build(max_concurrency=2)
    gate = Gate()
    stage.plan.on(b"/held", Answer(head_gate=gate))
    held = [spawn(stage.origin.send(get(b"/held")), name=f"held {n}") for n in range(2)]
    await until(lambda: gate.reached == 2)
    queued = [spawn(stage.origin.send(get(b"/held")), name=f"queued {n}") for n in range(3)]
    await until(lambda: stage.queued() == 3)
    for task in (queued[1], held[0], queued[0], queued[2], held[1]):
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await soon(task)
    assert (stage.outstanding(), stage.queued()) == (0, 0)
    for _ in range(3):
        assert await read_all(await soon(stage.origin.send(get()))) == b"plain"


async def test_a_slow_reader_is_not_the_origins_fault(build: Build) -> None:
    stage = await build(between_bytes_timeout_s=0.02)
    body = b"x" * 3_000_000
    stage.plan.on(b"/a", Answer(body=body))
    response = await soon(stage.origin.send(get()))
    first = await soon(response.read())
    loop = asyncio.get_running_loop()
    later = loop.time() + 0.05
    await until(lambda: loop.time() > later)
    assert first + await read_all(response) == body


async def test_the_last_word_before_sending_is_the_callers(stage: Stage) -> None:
    stage.plan.on(b"/a", Answer(body=b"A"))
    told: list[str] = []
    response = await soon(stage.origin.send(get(before_sending=lambda: told.append("now"))))
    assert (await read_all(response), told) == (b"A", ["now"])


async def test_a_request_that_its_caller_stops_at_the_last_moment_is_never_sent(stage: Stage) -> None:
    def stop() -> None:
        raise ClientGone("too late")

    with pytest.raises(ClientGone, match="too late"):
        await soon(stage.origin.send(get(before_sending=stop)))
    assert (stage.plan.begun[b"/a"], stage.outstanding()) == (0, 0)
