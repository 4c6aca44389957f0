"""Addresses taken apart, and what Host says for them."""

from __future__ import annotations

import pytest

from proxy.origin.address import parse_address


@pytest.mark.parametrize(
    ("text", "scheme", "host", "port", "authority"),
    [
        ("http://shop.example", "http", "shop.example", 80, b"shop.example"),
        ("http://shop.example:80", "http", "shop.example", 80, b"shop.example"),
        ("https://shop.example", "https", "shop.example", 443, b"shop.example"),
        ("https://shop.example:80", "https", "shop.example", 80, b"shop.example:80"),
        ("http://127.0.0.1:8080", "http", "127.0.0.1", 8080, b"127.0.0.1:8080"),
        ("http://[::1]", "http", "::1", 80, b"[::1]"),
        ("http://[::1]:8080", "http", "::1", 8080, b"[::1]:8080"),
        ("http://caf\u00e9.example", "http", "xn--caf-dma.example", 80, b"xn--caf-dma.example"),
        ("unix:/run/shop", "unix", "/run/shop", 0, b"localhost"),
    ],
)
def test_an_address_is_taken_apart(text: str, scheme: str, host: str, port: int, authority: bytes) -> None:
    address = parse_address(text)
    assert (address.scheme, address.host, address.port, address.authority) == (scheme, host, port, authority)
    assert address.secure is (scheme == "https")
    assert str(address) == text
