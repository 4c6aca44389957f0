"""Random damage to well-formed octets: the edits that parsers have disagreed about."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import strategies as st

FRAGMENTS = [
    b"\r", b"\n", b"\r\n", b"\r\n\r\n", b"\n\n", b"\0", b" ", b"\t", b"\x0b", b"\x0c", b"\x7f", b"\x80",
    b"\xff",
    b":", b";", b",", b"0", b"1", b"a", b"_", b"-", b"+", b"0x", b'"', b"#", b"?", b"//", b"\\", b"%00", b"@",
    b"\r\n ", b"\r\n\t", b": ", b" :", b"\r\nX: y", b"\r\nContent-Length: 3", b"\r\nContent-Length: 0",
    b"\r\nContent-Length: 30", b"\r\nTransfer-Encoding: chunked", b"\r\nTransfer-Encoding: identity",
    b"\nTransfer-Encoding: chunked", b"\r\nTransfer_Encoding: chunked", b"\r\nTransfer-Encoding : chunked",
    b"\r\nTransfer-Encoding: x, chunked", b"\r\nConnection: close", b"\r\nConnection: upgrade",
    b"\r\nUpgrade: h2c", b"\r\nUpgrade: websocket", b"\r\nExpect: 100-continue", b"\r\nHost: evil.example",
    b"\r\nTrailer: X", b"0\r\n\r\n", b"0\r\nX: y\r\n\r\n", b"3\r\nabc\r\n", b"3;x=y\r\nabc\r\n",
    b"FFFFFFFFFFFFFFFF1\r\n",
    b"GET /another HTTP/1.1\r\nHost: shop.example\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.0", b"HTTP/1.1 100 Continue\r\n\r\n", b"\r\nConnection: keep-alive", b"\r\nSet-Cookie: evil=1",
]  # fmt: skip

Edit = tuple[int, int, int]  # what to do, where (in millionths of the length), with which fragment


def edits() -> st.SearchStrategy[list[Edit]]:
    """Up to four edits."""
    edit = st.tuples(st.integers(0, 4), st.integers(0, 1_000_000), st.integers(0, len(FRAGMENTS) - 1))
    return st.lists(edit, max_size=4)


def damaged(octets: bytes, edits: list[Edit]) -> bytes:
    """The octets after the edits, in order."""
    for kind, place, which in edits:
        at = place * len(octets) // 1_000_001
        fragment = FRAGMENTS[which]
        match kind:
            case 0 | 1:
                octets = octets[:at] + fragment + octets[at:]
            case 2:
                octets = octets[:at] + octets[at + 1 :]
            case 3:
                octets = octets[:at] + fragment + octets[at + len(fragment) :]
            case _:  # a line twice, or the fragment where a line begins
                begin = octets.rfind(b"\r\n", 0, at) + 2 if b"\r\n" in octets[:at] else 0
                end = octets.find(b"\r\n", at) + 2
                octets = octets[:begin] + octets[begin:end] + octets[begin:] if end > begin else octets
    return octets


def cut(octets: bytes, places: list[int]) -> list[bytes]:
    """The octets in pieces; places are in millionths of the length."""
    ends = sorted({place * len(octets) // 1_000_001 for place in places} | {0, len(octets)})
    return [octets[begin:end] for begin, end in pairwise(ends)]


def cuts() -> st.SearchStrategy[list[int]]:
    """Where to cut."""
    return st.lists(st.integers(0, 1_000_000), max_size=6)
