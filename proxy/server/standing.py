"""An answer that stands: rendered once, sent to each request that gets the same octets, until it changes.

What a plain hit is answered is a function of the request's head, of the entry and of the second (`Age`,
`ttl`). So it is rendered by the ordinary path, into a `Capture` instead of a connection, and sent again as
long as none of the three changes. Nothing is decided here that is not decided there.
"""

from __future__ import annotations

from collections.abc import Sequence

from proxy.cache.entry import Entry
from proxy.coalesce.ask import Ask
from proxy.server.exchange import Exchange
from proxy.server.prepared import Prepared


class Capture:
    """In the place of a connection: takes what is written at once."""

    __slots__ = ("pieces",)

    connected = True
    draining = False

    def __init__(self) -> None:
        self.pieces: list[bytes] = []

    def __repr__(self) -> str:
        return f"<Capture {sum(map(len, self.pieces))} bytes>"

    def write(self, octets: bytes) -> None:
        """Take the octets."""
        self.pieces.append(octets)

    def write_pieces(self, pieces: Sequence[bytes]) -> None:
        """Take the pieces, without a copy."""
        self.pieces.extend(pieces)

    async def drain(self) -> None:
        """Nobody is slow here."""

    def reset(self) -> None:
        """Only a body that fails resets."""
        raise AssertionError("what is written at once is whole")


class Standing:
    """The answer to one kind of request; see the module's head. Owned and changed by the gate keeper.

    It may be sent until `until_mono`, while `entry` lies in memory and no purge came after it. `octets` is
    the answer as one piece; where it is too large to be copied that is empty, and `pieces` holds it.
    `exchange` has its facts for the books, `times` counts how often it was sent and is not booked yet, and
    `told` is the access log's line behind the client.

    Without an entry it rests: it holds nothing, and what is asked for is not looked at before `until_mono`.

    `told_apart_by` names the indifferent fields that matter to this kind of request; `outgrown` those which
    do since the key varies on more of them. `spare_bytes` is the room that its head leaves for fields that do
    not matter.
    """

    __slots__ = (
        "active",
        "ask",
        "asked",
        "entry",
        "exchange",
        "octets",
        "outgrown",
        "pieces",
        "prepared",
        "spare_bytes",
        "times",
        "told",
        "told_apart_by",
        "until_mono",
    )

    def __init__(
        self, prepared: Prepared, ask: Ask, *, told_apart_by: frozenset[bytes], spare_bytes: int
    ) -> None:
        self.prepared = prepared
        self.ask = ask
        self.told_apart_by = told_apart_by
        self.spare_bytes = spare_bytes
        self.entry: Entry | None = None
        self.exchange: Exchange | None = None
        self.octets = b""
        self.pieces: list[bytes] = []
        self.told = ""
        self.until_mono = 0.0
        self.times = 0
        self.outgrown = frozenset[bytes]()
        self.active = self.asked = False

    def __repr__(self) -> str:
        state = "rests" if self.entry is None else f"sent {self.times} times"
        return f"<Standing {state} for {self.prepared.request!r}>"

    def rest(self, until_mono: float = 0.0) -> None:
        """Hold nothing of the answer any more."""
        self.entry = self.exchange = None
        self.octets, self.pieces, self.told = b"", [], ""
        self.until_mono = until_mono
