"""A transport that was closed fails at nothing; `tests/behaviour/test_transports.py` uses real ones."""

from __future__ import annotations

import asyncio
from typing import cast

import pytest

from proxy.transports import abort, unsent_bytes


class _Closed:
    """As asyncio's over TLS after `close`, in Python 3.11.2."""

    _ssl_protocol = None

    def abort(self) -> None:
        raise AttributeError("'NoneType' object has no attribute '_abort'")

    def get_write_buffer_size(self) -> int:
        raise AttributeError("'NoneType' object has no attribute '_get_write_buffer_size'")


class _Open:
    def __init__(self) -> None:
        self.aborted = False

    def abort(self) -> None:
        self.aborted = True

    def get_write_buffer_size(self) -> int:
        return 7


def test_one_that_has_forgotten_its_protocol_is_left_to_its_end() -> None:
    closed = cast(asyncio.Transport, _Closed())
    abort(closed)
    assert unsent_bytes(closed) == 0


@pytest.mark.parametrize("over_tls", [False, True])
def test_any_other_is_asked(over_tls: bool) -> None:
    transport = _Open()
    if over_tls:
        transport._ssl_protocol = object()  # type: ignore[attr-defined]
    assert unsent_bytes(cast(asyncio.Transport, transport)) == 7
    abort(cast(asyncio.Transport, transport))
    assert transport.aborted
