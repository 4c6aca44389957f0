"""Lockgate: a request-coalescing caching reverse proxy.

In a program of your own:

    config = proxy.load(Path("lockgate.yaml"), environ=os.environ)
    server = proxy.Server(config)
    await server.start()
    ...
    await server.drain()
    await server.close()
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from proxy.config.loading import for_origin, load
    from proxy.config.settings import Config
    from proxy.errors import ConfigError
    from proxy.server.server import Server

__version__ = "0.1.0"

__all__ = ["Config", "ConfigError", "Server", "__version__", "for_origin", "load"]

_HOMES = {
    "Config": "proxy.config.settings",
    "ConfigError": "proxy.errors",
    "Server": "proxy.server.server",
    "for_origin": "proxy.config.loading",
    "load": "proxy.config.loading",
}


def __getattr__(name: str) -> object:
    # When they are asked for: the pure modules below must not pull in sockets and the event loop.
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)
