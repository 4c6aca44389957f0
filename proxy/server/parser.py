"""The parser that reads what clients send: aiohttp's in C (llhttp) and no other; and its errors as ours."""

from __future__ import annotations

import re

from aiohttp import http_parser
from aiohttp.http_exceptions import BadHttpMethod, BadStatusLine, HttpProcessingError, LineTooLong

from proxy.errors import (
    ClientError,
    ConfigError,
    HeadTooLarge,
    TargetTooLong,
    UnknownMethod,
    VersionNotSupported,
)
from proxy.policy.request_checks import KNOWN_METHODS

_TOKEN = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,32} ")


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


def client_error(error: HttpProcessingError, data: bytes) -> ClientError:
    """The parser's errors as ours. The octets are quoted nowhere: they may hold credentials."""
    message = error.message.strip().splitlines()[0].rstrip(":") if error.message.strip() else "not HTTP"
    match error:
        case LineTooLong():
            # The parser hands over the line so far: a bytearray for the target, bytes for a field.
            if isinstance(error.args[0], bytearray):
                return TargetTooLong("the request target is too long")
            return HeadTooLarge("a header field is too long")
        case BadHttpMethod() if (token := _TOKEN.match(data)) and token[0][:-1].decode() not in KNOWN_METHODS:
            return UnknownMethod("this method is not known here")
        case BadHttpMethod():
            return ClientError("the octets received are not an HTTP request")
        case BadStatusLine() if "Invalid method" in error.message:  # known, of RTSP
            return UnknownMethod("this method is not known here")
        case BadStatusLine() if "version" in error.message:
            return VersionNotSupported("only HTTP/1.0 and HTTP/1.1 are spoken here")
        case _:
            return ClientError(message)
