"""The admin listener, on aiohttp.web: `/healthz`, `/metrics`, `/statistics`, and `control`'s.

It shares the event loop with the clients' connections and touches nothing of theirs: it reads, and purges.
"""

from __future__ import annotations

import dataclasses
import json
import logging
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from aiohttp import web

from proxy.admin.administered import Administered
from proxy.admin.control import MAX_BODY_BYTES, Control
from proxy.admin.exposition import Exposition
from proxy.admin.writes import MAX_QUERY_BYTES
from proxy.clock import Clock
from proxy.config.settings import AdminSettings
from proxy.server.binding import Binding, bind

if TYPE_CHECKING:
    from proxy.server.server import ServerStatistics

logger = logging.getLogger(__name__)

ADVICE = "Choose another address under admin.address, or with --admin; --admin off goes without"
_STOP_TIMEOUT_S = 1.0
"""How long a scraper that reads slowly holds up the end of the process."""

_PATHS = "/healthz, /metrics, /statistics, /purge, /explain and /writes"

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class AdminListener:
    """Serves what an operator asks for."""

    def __init__(self, settings: AdminSettings, *, subject: Administered, clock: Clock) -> None:
        self._settings = settings
        self._subject = subject
        self._control = Control(settings, subject=subject, binding=self._bound, clock=clock)
        self._latest: ServerStatistics | None = None
        self._exposition = Exposition(self._read)
        self._binding: Binding | None = None
        self._runner: web.AppRunner | None = None

    def __repr__(self) -> str:
        return f"<AdminListener {self.address}>"

    @property
    def address(self) -> str:
        """Where it listens, with its real port."""
        return self._settings.address if self._binding is None else self._binding.address

    def _bound(self) -> Binding:
        assert self._binding is not None, "requests come after the start"
        return self._binding

    def _read(self) -> ServerStatistics:
        assert self._latest is not None, "a scrape asks for them first"
        return self._latest

    async def start(self, binding: Binding | None = None) -> None:
        """Listen, on a socket that is bound already if there is one.

        Raises: ConfigError if the address cannot be used.
        """
        self._binding = binding or bind(self._settings.address, advice=ADVICE)
        if self._binding.public:
            logger.warning("admin_exposed address=%s: keep it off public networks", self._binding.address)
        app = web.Application(middlewares=[_plain_errors], client_max_size=MAX_BODY_BYTES)
        app.add_routes(
            [
                web.get("/healthz", self._health),
                web.get("/metrics", self._metrics),
                web.get("/statistics", self._statistics),
                *self._control.routes(),
            ]
        )
        self._runner = web.AppRunner(
            app, access_log=None, shutdown_timeout=_STOP_TIMEOUT_S, max_line_size=MAX_QUERY_BYTES
        )
        await self._runner.setup()
        await web.SockSite(self._runner, self._binding.sock).start()

    async def release(self) -> Binding:
        """Stop answering; the socket goes on queueing for whoever takes it."""
        binding = self._bound()
        held = binding.sock.dup()
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None
        binding.sock = held
        return binding

    async def stop(self) -> None:
        """Close it. Idempotent."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None
        if self._binding is not None:
            self._binding.sock.close()
            self._binding.remove_file()

    async def _health(self, _request: web.Request) -> web.Response:
        if self._subject.healthy:
            return web.Response(text="ok\n")
        return web.Response(status=503, text="draining\n" if self._subject.draining else "starting\n")

    async def _metrics(self, request: web.Request) -> web.Response:
        self._latest = await self._subject.statistics()
        text, content_type = self._exposition.rendered(
            accept=",".join(request.headers.getall("Accept", [])), names=request.query.getall("name[]", [])
        )
        response = web.Response(body=text, headers={"Content-Type": content_type})
        if "gzip" in request.headers.get("Accept-Encoding", ""):
            response.enable_compression(web.ContentCoding.gzip)
        return response

    async def _statistics(self, _request: web.Request) -> web.Response:
        text = json.dumps(_plain(await self._subject.statistics()), indent=2)
        return web.Response(text=text + "\n", content_type="application/json")


@web.middleware
async def _plain_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Errors as one line of text. aiohttp's own page shows a traceback while the loop is in debug mode."""
    try:
        return await handler(request)
    except web.HTTPNotFound:
        return web.Response(status=404, text=f"404: there is nothing here; there are {_PATHS}\n")
    except web.HTTPMethodNotAllowed as refused:
        allow = ", ".join(sorted(refused.allowed_methods))
        text = f"405: {refused.method} is not allowed here; allowed are {allow}\n"
        return web.Response(status=405, text=text, headers={"Allow": allow})
    except web.HTTPException:
        raise
    except Exception:
        logger.exception("admin_failed path=%r", request.path)
        return web.Response(status=500, text="500: this could not be told; the log says why\n")


def _plain(value: Any) -> Any:
    """Statistics as JSON values: dataclasses as objects, enum members as their text."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: _plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value
