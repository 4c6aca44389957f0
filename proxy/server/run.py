"""What a process that serves needs of its interpreter and of the system: a loop, a calm collector, files."""

from __future__ import annotations

import asyncio
import gc
import logging
import resource
from collections.abc import Callable

from proxy.config.settings import Config
from proxy.errors import ConfigError

logger = logging.getLogger(__name__)

_OTHER_FILES = 64
"""Listeners, logs, the admin listener's connections, the event loop's own."""


def loop_factory(event_loop: str) -> Callable[[], asyncio.AbstractEventLoop]:
    """What makes the event loop of this name. Raises: ConfigError if it cannot be loaded."""
    if event_loop == "asyncio":
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


def calm_the_collector() -> None:
    """Let the cyclic garbage collector look rarely, and never at what was there at the start.

    Exchanges leave few cycles, but a herd is a hundred thousand objects alive at once, and with CPython's
    defaults each seven hundred of them start a search through all: 40 of 140 µs a waiter, measured with
    5,000 waiters. What an exchange leaves behind has no cycles, so that nothing waits to be collected.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(1_000_000, 50, 100)


def raise_file_limit() -> int:
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


def fitted(config: Config, files: int) -> Config:
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
