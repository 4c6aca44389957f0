"""Heads and routes in one line, for tables of cases."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from proxy.config.settings import RouteSettings
from proxy.http.fields import Fields, Pair
from proxy.http.messages import RequestHead, ResponseHead

NOW = 784111777.0
DATE = b"Sun, 06 Nov 1994 08:49:37 GMT"
TEN_DAYS_BEFORE = b"Thu, 27 Oct 1994 08:49:37 GMT"


def fields_of(text: str) -> Fields:
    """Fields from lines `Name: value`, separated by `|`."""
    pairs = (line.partition(":") for line in text.split("|") if line.strip())
    return Fields((name.strip().encode(), value.strip().encode()) for name, _, value in pairs)


def request(fields: str = "", *, method: str = "GET", target: bytes = b"/a") -> RequestHead:
    return RequestHead(method, target, fields_of(fields), authority=b"example.org")


def response(fields: str = "", *, status: int = 200) -> ResponseHead:
    return ResponseHead(status, fields_of(fields))


def route(**settings: Any) -> RouteSettings:
    return RouteSettings.model_validate({"origin": "origin", **settings})


CACHE_CONTROLS = st.lists(
    st.sampled_from(
        [
            b"public",
            b"max-age=60",
            b"max-age=0",
            b"s-maxage=60",
            b"must-revalidate",
            b"proxy-revalidate",
            b"must-understand",
            b"immutable",
            b"stale-while-revalidate=60",
            b"stale-if-error=60",
            b"no-transform",
            b'extension="private, no-store"',
        ]
    ),
    max_size=5,
).map(b", ".join)


def permissive_fields() -> st.SearchStrategy[list[Pair]]:
    """Response fields none of which forbids sharing."""
    return st.lists(
        st.one_of(
            st.tuples(st.just(b"Cache-Control"), CACHE_CONTROLS),
            st.sampled_from(
                [
                    (b"Date", DATE),
                    (b"Expires", b"Mon, 07 Nov 1994 08:49:37 GMT"),
                    (b"Last-Modified", TEN_DAYS_BEFORE),
                    (b"ETag", b'"v1"'),
                    (b"Vary", b"Accept-Encoding"),
                    (b"Age", b"1"),
                    (b"Content-Type", b"text/html"),
                ]
            ),
        ),
        max_size=6,
    )
