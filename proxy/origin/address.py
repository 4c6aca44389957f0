"""A configured origin address, taken apart once."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

_DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Address:
    """Where an origin is: `http`, `https` or `unix`.

    `host` is bare (no brackets around IPv6); it is the socket's path for `unix`. `authority` is what Host
    says where the route wants the address's own (RFC 9110 §7.2): without a default port, `localhost` for
    a Unix socket.
    """

    text: str
    scheme: str
    host: str
    port: int
    authority: bytes

    @property
    def secure(self) -> bool:
        """Whether the connection is TLS."""
        return self.scheme == "https"

    def __str__(self) -> str:
        return self.text


def parse_address(text: str) -> Address:
    """Take apart an address that the settings have accepted."""
    if text.startswith("unix:"):
        return Address(text, "unix", text.removeprefix("unix:"), 0, b"localhost")
    parts = urlsplit(text)
    host = parts.hostname
    assert host, f"the settings let the address {text!r} through, which has no host"
    port = parts.port or _DEFAULT_PORTS[parts.scheme]
    name = host if host.isascii() else host.encode("idna").decode("ascii")
    shown = f"[{name}]" if ":" in name else name
    if port != _DEFAULT_PORTS[parts.scheme]:
        shown = f"{shown}:{port}"
    return Address(text, parts.scheme, name, port, shown.encode("ascii"))
