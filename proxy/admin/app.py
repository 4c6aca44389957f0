"""The admin listener, on aiohttp.web: `/healthz`, `/metrics`, `/statistics`."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aiohttp import web

from proxy.config.settings import AdminSettings
from proxy.errors import ConfigError

if TYPE_CHECKING:
    from proxy.server.server import Server


class AdminListener:
    """Serves what an operator asks for. It does not touch the data plane."""

    def __init__(self, settings: AdminSettings, *, server: Server) -> None:
        self._settings = settings
        self._server = server
        self._runner: web.AppRunner | None = None

    @property
    def address(self) -> str:
        """Where it listens, with its real port."""
        if self._runner is None or not self._runner.addresses or self._settings.address.startswith("unix:"):
            return self._settings.address
        host, port = self._runner.addresses[0][:2]
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    async def start(self) -> None:
        """Listen. Raises: ConfigError if the address cannot be used."""
        app = web.Application()
        app.add_routes(
            [
                web.get("/healthz", self._health),
                web.get("/statistics", self._statistics),
            ]
        )
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        address = self._settings.address
        site: web.BaseSite
        if address.startswith("unix:"):
            site = web.UnixSite(self._runner, Path(address.removeprefix("unix:")))
        else:
            host, _, port = address.rpartition(":")
            site = web.TCPSite(self._runner, host.strip("[]"), int(port))
        try:
            await site.start()
        except OSError as error:
            await self.stop()
            raise ConfigError(
                f"the admin listener cannot use {address}: {error.strerror or error}. "
                "Choose another under admin.address, or `enabled: false`."
            ) from error

    async def stop(self) -> None:
        """Close it."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def _health(self, _request: web.Request) -> web.Response:
        if self._server.healthy:
            return web.Response(text="ok\n")
        return web.Response(status=503, text="draining\n")

    async def _statistics(self, _request: web.Request) -> web.Response:
        text = json.dumps(_plain(self._server.statistics()), indent=2)
        return web.Response(text=text + "\n", content_type="application/json")


def _plain(value: Any) -> Any:
    """Statistics as JSON values: dataclasses as objects, enum members as their text."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: _plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value
