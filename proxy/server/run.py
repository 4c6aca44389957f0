"""A process that serves: the event loop, signals, the start message, the exit status."""

from __future__ import annotations

import asyncio
import logging
import resource
import signal
import sys

from proxy import __version__
from proxy.config.settings import Config
from proxy.server.server import Server

logger = logging.getLogger(__name__)


def serve(config: Config) -> int:
    """Serve until SIGTERM or SIGINT, then drain; the exit status.

    Raises: ConfigError if an address or a certificate cannot be used.
    """
    files = _raise_file_limit()
    with asyncio.Runner(loop_factory=_loop_factory(config)) as runner:
        return runner.run(_serve(config, files))


def _loop_factory(config: Config):  # type: ignore[no-untyped-def]  # uvloop has no types of its own
    if config.event_loop == "uvloop":
        import uvloop

        return uvloop.new_event_loop
    return asyncio.new_event_loop


def _raise_file_limit() -> int:
    """Each connection is a file; take as many as we may. The limit that holds now."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


async def _serve(config: Config, files: int) -> int:
    server = Server(config)
    await server.start()
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    loop.add_signal_handler(signal.SIGHUP, server.reopen)
    _say(_greeting(server, files))
    await stop.wait()
    for number in (signal.SIGTERM, signal.SIGINT):  # the second one ends at once
        loop.remove_signal_handler(number)
        signal.signal(number, signal.SIG_DFL)
    _say("Draining: no new connections, running exchanges may end.")
    await server.drain()
    await server.close()
    _say("Stopped.")
    return 0


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _greeting(server: Server, files: int) -> str:
    config = server.config
    lines = [f"Lockgate {__version__} on {config.event_loop}, {files} open files at most"]
    for settings, address in zip(config.listen, server.addresses, strict=True):
        scheme = "https" if settings.tls is not None else "http"
        lines.append(f"  listening  {address if address.startswith('unix:') else f'{scheme}://{address}'}")
    for route in config.routes:
        origin = config.origins[route.origin]
        lines.append(
            f"  route      {route.host}{route.path} -> {route.origin} ({', '.join(origin.addresses)})"
        )
    lines.append(f"  cache      {config.cache.max_bytes // 2**20} MiB in memory, {config.cache.policy}")
    if server.admin_address is not None:
        address = server.admin_address
        shown = address if address.startswith("unix:") else f"http://{address}"
        lines.append(f"  admin      {shown}/healthz, /metrics, /statistics")
    return "\n".join(lines)
