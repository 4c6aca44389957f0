"""The stub itself: its state, and the way of one request through it.

Each request is counted when its head has come, then stands at its path's barrier, then fails or waits as
its behaviour says, and is answered by the endpoint of its path. Control requests skip all of that.
"""

from __future__ import annotations

import asyncio
import random
import ssl
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from urllib.parse import parse_qsl

from aiohttp import web

from origin_stub import control, pages
from origin_stub.answer import Asked, answer
from origin_stub.barriers import Barriers
from origin_stub.behaviour import BadBehaviour, Behaviour, Cut
from origin_stub.body import body_of
from origin_stub.changes import Changes
from origin_stub.counters import Counters, PathCounter
from origin_stub.entities import Entities
from origin_stub.listener import Listener
from origin_stub.live import LiveChannel
from origin_stub.orders import Orders

DEFAULT_SEGMENT_S = 2.0
DEFAULT_SEGMENT_BYTES = 256 * 1024
_SEGMENT_LIFETIME_S = 60


class Stub:
    """An origin in this process; made by `running()`.

    `behaviour` is a query string with the defaults of every request.
    """

    def __init__(
        self,
        *,
        behaviour: str = "",
        listen: str = "127.0.0.1:0",
        seed: int = 0,
        segment_s: float = DEFAULT_SEGMENT_S,
        segment_bytes: int = DEFAULT_SEGMENT_BYTES,
        now: Callable[[], float] = time.time,
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        self._defaults = Behaviour().with_parameters(parse_qsl(behaviour, keep_blank_values=True))
        self._chance = random.Random(seed)
        self._now = now
        self._began_at = now()
        self._changes = Changes()
        self._counters = Counters(self._changes)
        self._barriers = Barriers(self._changes)
        self._orders = Orders()
        self.entities = Entities(self._changes)
        self._channel = LiveChannel(segment_s, segment_bytes, now)
        self._touched: dict[str, tuple[int, float]] = {}
        self._resets = 0
        self._tasks: set[asyncio.Task[object]] = set()
        self._listener = Listener(self._serve, listen, ssl_context=ssl_context)

    # What a test uses.

    @property
    def url(self) -> str:
        """Base of the stub's URLs, without a slash at the end."""
        return self._listener.url

    @property
    def host(self) -> str:
        """Host that it listens on."""
        return self._listener.address.rpartition(":")[0]

    @property
    def port(self) -> int:
        """Port that it listens on."""
        return int(self._listener.address.rpartition(":")[2])

    @property
    def channel(self) -> LiveChannel:
        """The clockwork of the live channels."""
        return self._channel

    def counters(self) -> Counters:
        """What was asked: `stub.counters()["/a"].requests`."""
        return self._counters

    def reset(self) -> None:
        """Forget counters, orders, barriers, entities and touches; held and hanging requests go on."""
        self._resets += 1
        self._touched.clear()
        self._orders.clear()
        self._counters.reset()
        self.entities.reset()
        self._barriers.release()

    def fail(self, path: str, behaviour: str, times: int | None = None) -> None:
        """Answer the next `times` requests for the path with this query over their own.

        A path that ends in `*` is a prefix; `times` None is for all requests. Raises: BadBehaviour.
        """
        self._orders.give(path, behaviour, times=times)

    def hold(self, path: str, after_bytes: int | None = None) -> None:
        """Hold requests for the path before their head, or after so many octets of the body."""
        self._barriers.hold(path, after_bytes=after_bytes)

    def release(self, path: str | None = None) -> None:
        """Let go who is held, and hold no more."""
        self._barriers.release(path)

    def held(self, path: str) -> int:
        """Requests that are held at the path's barrier."""
        return self._barriers.held(path)

    def touch(self, path: str) -> None:
        """Give the path another body, entity tag and Last-Modified."""
        self._touched[path] = (self._touched.get(path, (0, 0.0))[0] + 1, self._now())

    def body_of(self, path: str, size: int) -> bytes:
        """The body that the path has now."""
        return body_of(path, size, version=self._touched.get(path, (0, 0.0))[0])

    async def until(self, condition: Callable[[], bool], *, timeout_s: float = 5.0) -> None:
        """Wait for a condition on this stub's state. Raises: TimeoutError."""
        await self._changes.wait_until(condition, timeout_s=timeout_s)

    async def refuse(self) -> None:
        """Close the listening socket and every connection."""
        await self._listener.refuse()

    async def listen_again(self) -> None:
        """Listen on the same address after `refuse()`."""
        await self._listener.listen()

    def refuse_for(self, seconds: float, *, but: asyncio.BaseTransport | None = None) -> None:
        """Refuse connections for a while; the connection `but` stays."""

        async def away() -> None:
            await self._listener.refuse(but=but)
            await asyncio.sleep(seconds)
            await self._listener.listen()

        task: asyncio.Task[object] = asyncio.get_running_loop().create_task(away())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def start(self) -> None:
        """Listen."""
        await self._listener.start()

    async def stop(self) -> None:
        """Cancel what is being answered and close."""
        self._barriers.release()
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._listener.stop()

    # The way of a request.

    async def _serve(self, request: web.BaseRequest) -> web.StreamResponse:
        path = request.raw_path.partition("?")[0]
        if path.startswith(control.PREFIX):
            return await control.control(self, request, path)
        task = asyncio.current_task()
        assert task is not None, "aiohttp runs each handler in a task"
        self._tasks.add(task)
        try:
            with self._counters.counting(
                path, method=request.method, target=request.raw_path, headers=_headers_of(request)
            ) as (number, counter):
                return await self._counted(request, path, number, counter)
        finally:
            self._tasks.discard(task)

    async def _counted(
        self, request: web.BaseRequest, path: str, number: int, counter: PathCounter
    ) -> web.StreamResponse:
        try:
            response = await self._respond(request, path, number, counter)
        except BadBehaviour as error:
            return web.Response(status=400, text=f"{error}\n")
        except (asyncio.CancelledError, ConnectionError):
            counter.aborted += 1
            raise
        counter.statuses[response.status] += 1
        return response

    async def _respond(
        self, request: web.BaseRequest, path: str, number: int, counter: PathCounter
    ) -> web.StreamResponse:
        parameters = parse_qsl(request.raw_path.partition("?")[2], keep_blank_values=True)
        behaviour = self._defaults.with_parameters((*parameters, *self._orders.take(path)))
        behaviour = self._with_chance(behaviour)
        await self._barriers.pass_head(path)
        if behaviour.hang:
            resets = self._resets
            await self._changes.wait_until(lambda: self._resets != resets)
        delay_s = behaviour.delay.draw(self._chance)
        if path.startswith("/entities/"):
            return await self._write_entity(request, path, delay_s, counter)
        if delay_s:
            await asyncio.sleep(delay_s)
        return await self._endpoint(request, path, number, behaviour, counter)

    def _with_chance(self, behaviour: Behaviour) -> Behaviour:
        failure = behaviour.fail
        if failure is None or self._chance.random() >= failure.rate:
            return behaviour
        if failure.kind == "reset":
            return replace(behaviour, reset=True)
        if failure.kind == "hang":
            return replace(behaviour, hang=True)
        if failure.kind == "cut":
            return replace(behaviour, cut=Cut(behaviour.size // 2, reset=True))
        return replace(behaviour, status=int(failure.kind), cc=None, cookie=None)

    async def _endpoint(
        self, request: web.BaseRequest, path: str, number: int, behaviour: Behaviour, counter: PathCounter
    ) -> web.StreamResponse:
        _continue(request)
        handler = pages.ENDPOINTS.get(path)
        if handler is not None:
            return await handler(request)
        page = pages.static_page(path)
        if page is not None and behaviour.status == 200:
            return page
        async for piece in request.content.iter_any():
            counter.body_bytes += len(piece)
        version, changed_at = self._touched.get(path, (0, self._began_at))
        asked = Asked(request, path, number, behaviour, version, changed_at)
        if path.startswith("/live/"):
            return await self._live(asked)
        return await answer(asked, self._barriers)

    async def _live(self, asked: Asked) -> web.StreamResponse:
        """`/live/{channel}/index.m3u8` and `/live/{channel}/segment-{n}.ts`."""
        channel = self._channel
        name = asked.path.rpartition("/")[2]
        if name == "index.m3u8":
            return _playlist(asked.request, channel)
        number = name.removeprefix("segment-").removesuffix(".ts")
        if not number.isdigit() or name != f"segment-{number}.ts" or not channel.has_segment(int(number)):
            return web.Response(status=404, text="No such segment.\n", headers={"Cache-Control": "no-store"})
        behaviour = replace(
            asked.behaviour,
            size=channel.segment_bytes,
            cc=f"max-age={_SEGMENT_LIFETIME_S}",
            etag="1",
            type="video/mp2t",
            lm=0.0,
        )
        appeared_at = channel.appears_at(int(number))
        return await answer(replace(asked, behaviour=behaviour, changed_at=appeared_at), self._barriers)

    async def _write_entity(
        self, request: web.BaseRequest, path: str, delay_s: float, counter: PathCounter
    ) -> web.StreamResponse:
        """`/entities/{id}`: GET reads; PUT, POST, DELETE write; POST to `/increment` below it adds one."""
        name = path.removeprefix("/entities/")
        entity_id = name.removesuffix("/increment")
        if request.method in ("GET", "HEAD"):
            value = self.entities.value(entity_id)
        elif request.method in ("PUT", "POST", "DELETE"):
            _continue(request)
            body = await request.read()
            counter.body_bytes += len(body)
            value = await self.entities.write(
                entity_id,
                request.method,
                body.decode(errors="replace"),
                delay_s=delay_s,
                increment=name != entity_id,
                idempotency_key=request.headers.get("Idempotency-Key"),
            )
        else:
            return web.Response(status=405, headers={"Allow": "GET, HEAD, PUT, POST, DELETE"})
        found = value is not None or request.method == "DELETE"
        return web.Response(
            status=200 if found else 404, text=f"{value or ''}\n", headers={"Cache-Control": "max-age=60"}
        )


def _playlist(request: web.BaseRequest, channel: LiveChannel) -> web.Response:
    newest = channel.newest()
    etag = f'"{newest}"'
    headers = {"Cache-Control": f"max-age={channel.playlist_lifetime_s}", "ETag": etag}
    if request.headers.get("If-None-Match") == etag:
        return web.Response(status=304, headers=headers)
    return web.Response(
        text=channel.playlist(), content_type="application/vnd.apple.mpegurl", headers=headers
    )


def _headers_of(request: web.BaseRequest) -> tuple[tuple[str, str], ...]:
    return tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in request.raw_headers)


def _continue(request: web.BaseRequest) -> None:
    """Ask for the body of a request with `Expect: 100-continue`, which aiohttp's bare server leaves to us."""
    if request.headers.get("Expect", "").lower() == "100-continue" and request.transport is not None:
        request.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")


@asynccontextmanager
async def running(
    *,
    behaviour: str = "",
    listen: str = "127.0.0.1:0",
    seed: int = 0,
    segment_s: float = DEFAULT_SEGMENT_S,
    segment_bytes: int = DEFAULT_SEGMENT_BYTES,
    now: Callable[[], float] = time.time,
    ssl_context: ssl.SSLContext | None = None,
) -> AsyncIterator[Stub]:
    """A stub in this event loop for the length of an `async with`."""
    stub = Stub(
        behaviour=behaviour,
        listen=listen,
        seed=seed,
        segment_s=segment_s,
        segment_bytes=segment_bytes,
        now=now,
        ssl_context=ssl_context,
    )
    await stub.start()
    try:
        yield stub
    finally:
        await stub.stop()
