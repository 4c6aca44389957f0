"""The gate: plain hits, answered without an exchange of their own.

Theory of operation. This is the one place where speed goes before beauty, and it decides nothing. A request
comes here in one of three ways, on a connection on which no answer is outstanding and whose client reads:

    known head    the octets received are exactly those of a head that was parsed and answered here before
    like one      they are but for values that do not matter, a Cookie's, say (`server/likeness.py`)
    parsed head   the C parser's message; what matters in it (`server/folding.py`) was seen before

All lead to a `Standing`: the octets that the ordinary path writes for such a request, rendered by that very
path. They are sent as long as nothing they are made of changed: the second, the entry, its freshness, the
purges. Then they are rendered again, and if what is stored is no plain hit any more, the request takes the
ordinary path. So HEAD, 304, single ranges and codings are answered here because the ordinary path writes
them at once, not by rules of our own.

The octets of a known head were accepted by the parser at the start of a message, the connection stands at
such a start again, and a parser in the same state does the same with the same octets.

Heads enter the tables on second sight, and the tables are bounded. Rejected: recognising heads by parsing
them here (a second grammar is how requests are smuggled; a likeness is none, as it asks for the same octets),
and rendering once with the Age patched in (rendering takes 60 us, but only once a second).
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass

from aiohttp.http_parser import RawRequestMessage

from proxy.errors import ProxyError
from proxy.policy.request_checks import head_bytes
from proxy.server.client_connection import ClientConnection
from proxy.server.folding import values_of
from proxy.server.gate_keeper import GateKeeper
from proxy.server.head_table import HeadTable
from proxy.server.likeness import Likeness
from proxy.server.prepared import Prepared
from proxy.server.standing import Standing

TABLE_BYTES = 4 * 1024 * 1024
"""Of heads in each generation of each of the three tables of a gate."""

DECLINED = 1024
DECLINED_BYTES = 2048
"""So many heads, none longer than that, rest because their answers do: what is passed through is mostly asked
for with the same octets, and to fold them and find that they rest takes 4 us each time."""

_METHODS = frozenset({"GET", "HEAD"})

_OVERHEAD_BYTES = 2500
"""Of a standing answer and what it is prepared from, beyond the octets of its head."""


@dataclass(frozen=True, slots=True)
class _Split:
    """Such requests are told apart by what they say in these fields, too; by none: they are never hits."""

    names: frozenset[bytes]


_NO_NAMES: frozenset[bytes] = frozenset()
_NEVER_A_HIT = _Split(_NO_NAMES)


class Gate:
    """Answers plain hits to the clients of one listener that are trusted, or that are not."""

    __slots__ = (
        "_alike",
        "_alike_met",
        "_declined",
        "_folded",
        "_folding",
        "_keeper",
        "_known",
        "_ledger",
        "_likened",
        "_likeness",
        "_likenesses",
        "_mono",
        "_now",
        "_purging",
        "_scheme",
        "_trusted",
    )

    def __init__(self, keeper: GateKeeper, *, scheme: str, trusted: bool) -> None:
        self._keeper = keeper
        self._scheme, self._trusted = scheme, trusted
        self._ledger = keeper.ledger if keeper.ledger.is_logging else None
        self._mono, self._now = keeper.clock.mono, keeper.clock.now
        self._purging = keeper.purging
        self._folding = keeper.folding
        self._known: HeadTable[bytes, Standing] = HeadTable(
            max_bytes=TABLE_BYTES, size_bytes=lambda octets, _standing: len(octets) + 200
        )
        self._likenesses = keeper.likenesses
        self._alike: HeadTable[Likeness, Standing] = HeadTable(
            max_bytes=TABLE_BYTES, size_bytes=lambda parts, _standing: sum(map(len, parts)) + 600
        )
        self._declined: dict[bytes, float] = {}
        self._alike_met = False  # whether there is one; a look-up takes 2 us
        self._likened = b""  # the last head looked at: what is not answered for its likeness is learnt next
        self._likeness: Likeness | None = None
        self._folded: HeadTable[Hashable, Standing | _Split] = HeadTable(
            max_bytes=TABLE_BYTES, size_bytes=lambda _fold, found: _size_bytes(found)
        )

    def __repr__(self) -> str:
        return f"<Gate {self._scheme} trusted={self._trusted} {self._known!r} {self._folded!r}>"

    def answer_known(self, connection: ClientConnection, octets: bytes) -> bool:
        """Answer, if these octets are a known head, or like one, whose answer stands."""
        standing = self._known.young.get(octets) or self._known.find(octets)
        if standing is None and self._alike_met:
            likeness = self._likenesses.of(octets)
            self._likened, self._likeness = octets, likeness
            if likeness is not None:
                standing = self._alike.young.get(likeness) or self._alike.find(likeness)
        if standing is None or not self._send(connection, standing):
            return False
        self._keeper.known += 1
        return True

    def answer_parsed(self, connection: ClientConnection, message: RawRequestMessage, octets: bytes) -> bool:
        """Answer, if the answer to such a head stands; `octets` are all of it, empty if it came in parts."""
        if message.method not in _METHODS or message.should_close or message.upgrade or message.chunked:
            return False
        if octets and self._declined.get(octets, 0.0) > self._mono():
            return False
        standing = self._find(message)
        if standing is None or not self._send(connection, standing):
            if standing is not None:
                self._decline(octets, standing)
            return False
        self._keeper.parsed += 1
        if octets:
            self._learn(octets, standing)
        return True

    def _learn(self, octets: bytes, standing: Standing) -> None:
        """A parsed head has this answer: from the second on it is known, and so are those like it."""
        if self._known.came_before(octets):
            self._known.keep(octets, standing)
        if standing.told_apart_by:
            return
        likeness = self._likeness if octets is self._likened else self._likenesses.of(octets)
        if likeness is not None and self._alike.came_before(likeness):
            self._alike.keep(likeness, standing)
            self._alike_met = True

    def _decline(self, octets: bytes, standing: Standing) -> None:
        """The answer rests: so do these octets, for as long, without being looked at."""
        if not octets or standing.entry is not None:
            return
        if len(self._declined) >= DECLINED:
            self._declined.clear()
        if len(octets) <= DECLINED_BYTES:
            self._declined[octets] = standing.until_mono

    def _send(self, connection: ClientConnection, standing: Standing) -> bool:
        entry, now_mono = standing.entry, self._mono()
        if (
            entry is None
            or now_mono >= standing.until_mono
            or not entry.in_memory
            or entry.purged_softly
            or entry.epoch < self._purging.newest
        ) and not self._keeper.renew(standing, now_mono):
            return False
        transport = connection.transport
        assert transport is not None, "a connection that receives is open"
        if standing.octets:
            transport.write(standing.octets)
        else:
            transport.writelines(standing.pieces)
        standing.times += 1
        if self._ledger is not None:
            self._ledger.tell_again(standing.told, client=connection.peer, at=self._now())
        return True

    def _find(self, message: RawRequestMessage) -> Standing | None:
        """The answer to such a head; None if there is none yet, or never."""
        folded = self._folding.fold(message)
        if folded is None:
            return None
        whole, indifferent_bytes = folded
        fold, split = whole, _NO_NAMES
        found = self._folded.young.get(fold) or self._folded.find(fold)
        if isinstance(found, _Split) and found is not _NEVER_A_HIT:
            split = found.names
            fold = (fold, values_of(message, split))
            found = self._folded.young.get(fold) or self._folded.find(fold)
        if found is None:
            begun = self._begin(message, split, indifferent_bytes) if self._folded.came_before(fold) else None
            if begun is not None:
                self._folded.keep(fold, begun)
            return None
        if isinstance(found, _Split) or indifferent_bytes > found.spare_bytes:
            return None
        if found.outgrown:
            # What is known octet by octet finds its way here, as an outgrown answer does not stand.
            self._folded.keep(whole, _Split(found.outgrown))
            return None
        return found

    def _begin(
        self, message: RawRequestMessage, split: frozenset[bytes], indifferent_bytes: int
    ) -> Standing | _Split | None:
        """What is known of such heads from now on; None if this one is refused, whatever others are."""
        try:
            prepared = self._keeper.heads.prepare(message, scheme=self._scheme, trusted=self._trusted)
        except ProxyError:
            return None
        if not isinstance(prepared, Prepared) or prepared.key is None or prepared.refusal is not None:
            return _NEVER_A_HIT
        if not prepared.bodyless:
            return _NEVER_A_HIT
        raw_target = message.path.encode("utf-8", "surrogateescape")
        whole_bytes = head_bytes(message.method, raw_target, prepared.request.fields)
        return self._keeper.standing_for(
            prepared, told_apart_by=split, matter_bytes=whole_bytes - indifferent_bytes
        )


def _size_bytes(found: Standing | _Split) -> int:
    if isinstance(found, _Split):
        return _OVERHEAD_BYTES // 4
    request = found.prepared.request
    return 3 * (len(request.target) + request.fields.size_bytes()) + _OVERHEAD_BYTES
