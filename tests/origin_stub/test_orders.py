from __future__ import annotations

import pytest

from origin_stub.behaviour import BadBehaviour
from origin_stub.orders import Orders


def test_an_order_is_used_up() -> None:
    orders = Orders()
    orders.give("/a", "status=500&cc=", times=2)
    applied = [orders.take("/a") for _ in range(3)]
    assert applied == [(("status", "500"), ("cc", "")), (("status", "500"), ("cc", "")), ()]


def test_the_exact_path_goes_before_the_longest_prefix() -> None:
    orders = Orders()
    orders.give("/*", "size=1")
    orders.give("/a*", "size=2")
    orders.give("/ab", "size=3")
    assert [orders.take(path) for path in ("/z", "/ac", "/ab")] == [
        (("size", "1"),),
        (("size", "2"),),
        (("size", "3"),),
    ]
    orders.clear()
    assert orders.take("/ab") == ()


def test_an_order_that_cannot_be_read_is_refused_when_given() -> None:
    with pytest.raises(BadBehaviour, match="status"):
        Orders().give("/a", "status=fine")
