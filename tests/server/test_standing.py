from __future__ import annotations

from proxy.server.standing import Capture


async def test_a_capture_takes_the_pieces_in_order_without_a_copy() -> None:
    capture, piece = Capture(), b"body"
    capture.write(b"head")
    capture.write_pieces([piece, b"more"])
    await capture.drain()
    assert capture.pieces == [b"head", b"body", b"more"]
    assert capture.pieces[1] is piece
