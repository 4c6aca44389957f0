"""Which parser reads what clients send: aiohttp's in C (llhttp), and no other."""

from __future__ import annotations

from aiohttp import http_parser

from proxy.errors import ConfigError


def require_c_parser() -> None:
    """See that the C parser is in use.

    aiohttp's substitute in Python is another grammar: it had several request-smuggling holes that the C
    parser never had (CVE-2025-53643, CVE-2025-69224), and `policy.request_checks` completes llhttp, not it.

    Raises: ConfigError.
    """
    if http_parser.HttpRequestParser.__module__ != "aiohttp._http_parser":
        raise ConfigError(
            "aiohttp runs without its C extensions, and its HTTP parser in Python is not safe in a proxy. "
            "Unset AIOHTTP_NO_EXTENSIONS, or install an aiohttp wheel that was built for this Python."
        )
