"""Heads are values."""

from __future__ import annotations

import pytest

from proxy.http.fields import Fields
from proxy.http.messages import RequestHead, ResponseHead


@pytest.mark.parametrize(
    ("target", "path"), [(b"/a?b?c", b"/a"), (b"/a?", b"/a"), (b"/", b"/"), (b"*", b"*")]
)
def test_the_path_ends_at_the_query(target: bytes, path: bytes) -> None:
    assert RequestHead("GET", target, Fields()).path == path


def test_equal_heads_are_equal() -> None:
    assert ResponseHead(200, Fields([(b"A", b"1")])) == ResponseHead(200, Fields([(b"A", b"1")]))
    assert ResponseHead(200, Fields()) != ResponseHead(201, Fields())
