"""The kinds of text that settings hold, each with the check that a value must pass."""

from __future__ import annotations

import ipaddress
import re
import warnings
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, SecretStr

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_PATH = re.compile(r"/[!\"$->@-~]*")
_HOST = re.compile(r"\*|(?:\*\.)?[0-9A-Za-z_-]+(?:\.[0-9A-Za-z_-]+)*|\[[0-9A-Fa-f:.]+\]")
_TYPE = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+/[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_STATUS = re.compile(r"[45](?:[0-9]{2}|xx)")
_TOKEN68 = re.compile(r"[A-Za-z0-9._~+/-]{16,512}=*")
_AUTHORITY = re.compile(r"(?:[0-9A-Za-z_.-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?")

_FRAMING_FIELDS = frozenset(
    {
        "connection",
        "content-length",
        "transfer-encoding",
        "upgrade",
        "te",
        "trailer",
        "keep-alive",
        "expect",
        "host",
    }
)


def _listen_address(text: str) -> str:
    if text.startswith("unix:"):
        if not text.removeprefix("unix:").startswith("/"):
            raise ValueError("a Unix socket is written unix:/absolute/path")
        return text
    host, colon, port = text.rpartition(":")
    if not colon or not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise ValueError("write HOST:PORT, [IPV6]:PORT or unix:/path")
    if ":" in host and not (host.startswith("[") and host.endswith("]")):
        raise ValueError("an IPv6 address stands in brackets, as [::1]:8080")
    return text


def _origin_address(text: str) -> str:
    if text.startswith("unix:"):
        return _listen_address(text)
    if not text.isascii() or not text.isprintable() or set(text) & set(" ?#@"):
        raise ValueError("only scheme, host and port, in ASCII; a path belongs into the route's rewrite")
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("write http://host[:port], https://host[:port] or unix:/path")
    if parts.path not in ("", "/"):
        raise ValueError("only scheme, host and port; a path belongs into the route's rewrite")
    _ = parts.port  # raises ValueError when out of range
    return text.rstrip("/")


def _network(text: str) -> str:
    if text != "unix":
        ipaddress.ip_network(text, strict=False)
    return text


def _field_name(text: str) -> str:
    if not _TOKEN.fullmatch(text):
        raise ValueError(f"{text!r} is not a header field name (RFC 9110 §5.1)")
    return text


def _not_framing(text: str) -> str:
    if text.lower() in _FRAMING_FIELDS:
        raise ValueError(f"{text} belongs to the connection and is written by Lockgate; leave it out")
    return text


def _cookie_name(text: str) -> str:
    if not _TOKEN.fullmatch(text):
        raise ValueError(f"{text!r} is not a cookie name (RFC 6265 §4.1.1)")
    return text


def _field_value(text: str) -> str:
    if any((ord(c) < 32 and c != "\t") or ord(c) == 127 for c in text):
        raise ValueError("a header field value holds no control characters")
    return text


def _path_prefix(text: str) -> str:
    if not text.startswith("/"):
        raise ValueError("a path begins with /")
    if not _PATH.fullmatch(text):
        raise ValueError("a path is printable ASCII without space, ? and #; write others as %XX")
    return text


def _host(text: str) -> str:
    if not _HOST.fullmatch(text):
        raise ValueError("write a host without port, as example.org or [::1], or *.example.org, or *")
    return text


def _host_header(text: str) -> str:
    if not _AUTHORITY.fullmatch(text):
        raise ValueError("write keep, origin, or a host with an optional :port")
    return text


def _method(text: str) -> str:
    if not _TOKEN.fullmatch(text):
        raise ValueError("a method is a single word, as GET")
    if text != text.upper():
        raise ValueError(f"a method is written in upper case, as {text.upper()}")
    return text


def _protocol(text: str) -> str:
    if not all(_TOKEN.fullmatch(part) for part in text.split("/", 1)):
        raise ValueError("a protocol is a name with an optional /version, as websocket")
    if text != text.lower():
        raise ValueError(f"a protocol is written in lower case, as {text.lower()}")
    return text


def _parameter_pattern(text: str) -> str:
    if not text or not text.isascii() or not text.isprintable() or set(text) & set(" &=#"):
        raise ValueError("write a parameter's name in printable ASCII, decoded, with * for any octets")
    return text


def _type_pattern(text: str) -> str:
    if not _TYPE.fullmatch(text):
        raise ValueError("write a media type without parameters, with * for any octets, as text/*")
    return text.lower()


def _status_pattern(text: object) -> str:
    if not _STATUS.fullmatch(str(text)):
        raise ValueError("write an error status, as 404, or a class of them, as 5xx")
    return str(text)


def _bearer_token(secret: SecretStr) -> SecretStr:
    if not _TOKEN68.fullmatch(secret.get_secret_value()):
        raise ValueError(
            "a token is 16 to 512 of the characters A-Z a-z 0-9 . _ ~ + / -, which "
            "`openssl rand -hex 32` makes (RFC 6750 §2.1)"
        )
    return secret


def _regex(text: str) -> str:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # what a later Python reads differently
            re.compile(text)
            re.compile(text.encode())  # paths and values are matched as octets
    except (re.error, Warning, OverflowError, RecursionError) as error:
        raise ValueError(f"not a regular expression: {error}") from None
    return text


ListenAddress = Annotated[str, AfterValidator(_listen_address)]
OriginAddress = Annotated[str, AfterValidator(_origin_address)]
Network = Annotated[str, AfterValidator(_network)]
FieldName = Annotated[str, AfterValidator(_field_name)]
RuleFieldName = Annotated[str, AfterValidator(_field_name), AfterValidator(_not_framing)]
CookieName = Annotated[str, AfterValidator(_cookie_name)]
FieldValue = Annotated[str, AfterValidator(_field_value)]
ParameterPattern = Annotated[str, AfterValidator(_parameter_pattern)]
TypePattern = Annotated[str, AfterValidator(_type_pattern)]
StatusPattern = Annotated[str, BeforeValidator(_status_pattern)]
PathPrefix = Annotated[str, AfterValidator(_path_prefix)]
Host = Annotated[str, AfterValidator(_host)]
HostHeader = Annotated[str, AfterValidator(_host_header)]
Method = Annotated[str, AfterValidator(_method)]
Protocol = Annotated[str, AfterValidator(_protocol)]
BearerToken = Annotated[SecretStr, AfterValidator(_bearer_token)]
Regex = Annotated[str, AfterValidator(_regex)]
