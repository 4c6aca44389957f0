from __future__ import annotations

from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from proxy.config import values


def accepts(kind: Any, text: str) -> bool:
    try:
        return bool(TypeAdapter(kind).validate_python(text)) or text == ""
    except ValidationError:
        return False


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (values.ListenAddress, "127.0.0.1:0"),
        (values.ListenAddress, "[::1]:8080"),
        (values.ListenAddress, ":80"),
        (values.ListenAddress, "unix:/run/lockgate"),
        (values.OriginAddress, "http://a"),
        (values.OriginAddress, "https://[::1]:8443/"),
        (values.OriginAddress, "unix:/run/app"),
        (values.Network, "10.0.0.0/8"),
        (values.Network, "::1"),
        (values.Network, "unix"),
        (values.FieldName, "X-A"),
        (values.FieldValue, "a\tb é"),
        (values.RuleFieldName, "Cache-Control"),
        (values.CookieName, "__Host-id"),
        (values.Host, "*"),
        (values.Host, "*.example.org"),
        (values.Host, "a_b.example.org"),
        (values.Host, "[::1]"),
        (values.HostHeader, "example.org:8080"),
        (values.HostHeader, "keep"),
        (values.Method, "REPORT"),
        (values.Protocol, "websocket"),
        (values.Protocol, "irc/6.9"),
        (values.PathPrefix, "/a%20b/$x;y=z@!"),
        (values.Regex, r"^/a(?P<b>\d+)$"),
    ],
)
def test_a_right_value_is_accepted(kind: Any, text: str) -> None:
    assert accepts(kind, text)


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (values.ListenAddress, "127.0.0.1"),
        (values.ListenAddress, "127.0.0.1:65536"),
        (values.ListenAddress, "127.0.0.1:" + "9" * 5000),
        (values.ListenAddress, "::1:80"),
        (values.ListenAddress, "unix:relative"),
        (values.OriginAddress, "http://"),
        (values.OriginAddress, "http://user:secret@a"),
        (values.OriginAddress, "http://a?b"),
        (values.OriginAddress, "http://a?"),
        (values.OriginAddress, "http://a#"),
        (values.OriginAddress, "http://a\n"),
        (values.OriginAddress, "http://a b"),
        (values.OriginAddress, "http://é"),
        (values.OriginAddress, "http://a:port"),
        (values.Network, "10.0.0.0/40"),
        (values.FieldName, "X A"),
        (values.FieldName, "X:A"),
        (values.FieldName, ""),
        (values.FieldValue, "a\r\nb: c"),
        (values.FieldValue, "a\0"),
        (values.RuleFieldName, "Transfer-Encoding"),
        (values.RuleFieldName, "HOST"),
        (values.CookieName, "a=b"),
        (values.Host, "example.org:80"),
        (values.Host, "*example.org"),
        (values.Host, "a.*.org"),
        (values.Host, "http://a"),
        (values.Host, "exämple.org"),
        (values.HostHeader, "a\r\nb: c"),
        (values.HostHeader, "a/b"),
        (values.Method, "get"),
        (values.Method, "GET /"),
        (values.Protocol, "WebSocket"),
        (values.PathPrefix, "a"),
        (values.PathPrefix, "/a b"),
        (values.PathPrefix, "/a?b"),
        (values.PathPrefix, "/a\r\n"),
        (values.PathPrefix, "/é"),
        (values.ParameterPattern, ""),
        (values.ParameterPattern, "a=b"),
        (values.ParameterPattern, "a&b"),
        (values.ParameterPattern, "é"),
        (values.TypePattern, "text"),
        (values.TypePattern, "text/html; charset=utf-8"),
        (values.StatusPattern, "200"),
        (values.StatusPattern, "6xx"),
        (values.StatusPattern, "40x"),
        (values.Regex, "("),
        (values.Regex, r"\u1234"),  # no such escape in octets
        (values.Regex, "[[a]"),  # a later Python reads it as a nested set
    ],
)
def test_a_wrong_value_is_refused(kind: Any, text: str) -> None:
    assert not accepts(kind, text)
