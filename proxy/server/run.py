"""A process that serves: the event loop, signals, the start message, the exit status.

SIGTERM, SIGINT   drain, then end with status 0
a second one      cut what is left and end with status 1; nothing of the access log is lost
a third one       the system's default: the process is gone
SIGHUP            open the access log again and read certificates again
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import resource
import signal
import sys
from collections.abc import Callable

from proxy import __version__
from proxy.config.settings import Config
from proxy.errors import ConfigError
from proxy.server.parser import require_c_parser
from proxy.server.server import Server
from proxy.tasks import spawn

logger = logging.getLogger(__name__)

_STOPPING = (signal.SIGTERM, signal.SIGINT)

_OTHER_FILES = 64
"""Listeners, logs, the admin listener's connections, the event loop's own."""


def serve(config: Config) -> int:
    """Serve until SIGTERM or SIGINT, then drain; the exit status.

    Raises: ConfigError if an address, a certificate, the event loop or aiohttp's parser cannot be used.
    """
    require_c_parser()
    loop_factory = _loop_factory(config)
    files = _raise_file_limit()
    _calm_the_collector()
    with asyncio.Runner(loop_factory=loop_factory) as runner:
        return runner.run(_serve(config, files))


def _loop_factory(config: Config) -> Callable[[], asyncio.AbstractEventLoop]:
    if config.event_loop == "asyncio":
        return asyncio.new_event_loop
    try:
        import uvloop
    except ImportError as error:
        raise ConfigError(
            f"event_loop is uvloop, which cannot be loaded ({error}). "
            "Install it (pip install uvloop), or set `event_loop: asyncio`."
        ) from error
    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory


def _calm_the_collector() -> None:
    """Let the cyclic garbage collector look rarely, and never at what was there at the start.

    Exchanges leave few cycles, but a herd is a hundred thousand objects alive at once, and with CPython's
    defaults each seven hundred of them start a search through all: 40 of 140 µs a waiter, measured with
    5,000 waiters. What an exchange leaves behind has no cycles, so that nothing waits to be collected.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(1_000_000, 50, 100)


def _raise_file_limit() -> int:
    """Each connection is a file; take as many as we may. The limit that holds now."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == hard:
        return soft
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    except (OSError, ValueError) as error:  # a hard limit above what the kernel gives to anybody
        logger.warning("file_limit_kept soft=%d hard=%d error=%s", soft, hard, error)
        return soft
    return hard


def _fitted(config: Config, files: int) -> Config:
    """The configuration with no more client connections than there are files for, beside those to origins.

    Out of files nobody could be turned away and no origin be asked: what comes would hang in the kernel.
    """
    others = _OTHER_FILES + sum(
        origin.max_concurrency + origin.max_idle_connections for origin in config.origins.values()
    )
    room = max(files // 2, files - others)
    if config.limits.max_connections <= room:
        return config
    limits = config.limits.model_copy(update={"max_connections": room})
    return config.model_copy(update={"limits": limits})


class _Signals:
    """What the process was told: each further signal is more urgent."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self.stop = asyncio.Event()
        self.at_once = asyncio.Event()
        for number in _STOPPING:
            loop.add_signal_handler(number, self._told_to_stop)

    def _told_to_stop(self) -> None:
        if not self.stop.is_set():
            self.stop.set()
            return
        self.at_once.set()
        for number in _STOPPING:
            self._loop.remove_signal_handler(number)
            signal.signal(number, signal.SIG_DFL)


async def _serve(config: Config, files: int) -> int:
    loop = asyncio.get_running_loop()
    signals = _Signals(loop)
    server = Server(_fitted(config, files))
    loop.add_signal_handler(signal.SIGHUP, server.reopen)
    await server.start()
    _say(_greeting(server, config, files))
    await signals.stop.wait()
    _say(
        "Draining: no new connections, running exchanges may end within "
        f"{config.shutdown_delay_s + config.shutdown_timeout_s:g} s. A second signal cuts them."
    )
    drained = await _drained(server, signals)
    await server.close()
    _say("Stopped." if drained else "Stopped at once: exchanges were cut.")
    return 0 if drained else 1


async def _drained(server: Server, signals: _Signals) -> bool:
    """Whether the drain came to its end before the second signal."""
    drain = spawn(server.drain(), name="drain")
    at_once = spawn(signals.at_once.wait(), name="second signal")
    await asyncio.wait((drain, at_once), return_when=asyncio.FIRST_COMPLETED)
    done = drain.done()
    drain.cancel()
    at_once.cancel()
    return done


def _say(text: str) -> None:
    with contextlib.suppress(OSError):  # nobody reads standard error any more: no reason to stop serving
        print(text, file=sys.stderr, flush=True)


def _greeting(server: Server, config: Config, files: int) -> str:
    lines = [f"Lockgate {__version__} on {config.event_loop}"]
    for settings, address in zip(config.listen, server.addresses, strict=True):
        scheme = "https" if settings.tls is not None else "http"
        lines.append(f"  listening  {address if address.startswith('unix:') else f'{scheme}://{address}'}")
    for route in config.routes:
        origin = config.origins[route.origin]
        lines.append(
            f"  route      {route.host}{route.path} -> {route.origin} ({', '.join(origin.addresses)})"
        )
    lines.append(f"  cache      {config.cache.max_bytes // 2**20} MiB in memory, {config.cache.policy}")
    if config.access_log.enabled:
        lines.append(f"  log        {config.access_log.path or 'standard output'}, one JSON line an exchange")
    if server.admin_address is not None:
        address = server.admin_address
        shown = f"{address} " if address.startswith("unix:") else f"http://{address}"
        lines.append(f"  admin      {shown}/healthz, /metrics, /statistics")
    connections = server.config.limits.max_connections
    lines.append(f"  limits     {connections} client connections, {files} open files")
    if connections < config.limits.max_connections:
        lines.append(
            f"  note       limits.max_connections is {config.limits.max_connections}: "
            "raise the limit on open files (ulimit -n, LimitNOFILE=) to have them"
        )
    return "\n".join(lines)
