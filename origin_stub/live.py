"""A live HLS channel: a sliding playlist whose segments appear by the clock.

Segment n covers the wall-clock time from n × segment_s on and exists once that time is over. The
number follows from the clock alone, so several stubs offer the same channel.

The segments have the right type and headers; their octets are those of `origin_stub.body`, which a
client can verify but no player can show.

Source: RFC 8216 §4.3, §6.2.2; Cache-Control as its §6.2.1 asks for.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

WINDOW_SEGMENTS = 6
_KEPT_SEGMENTS = 30  # what a viewer who fell behind may still ask for


@dataclass(frozen=True, slots=True)
class LiveChannel:
    """The clockwork of every channel; `now` gives Unix seconds."""

    segment_s: float
    segment_bytes: int
    now: Callable[[], float]

    def newest(self) -> int:
        """Number of the newest segment that is complete."""
        return math.floor(self.now() / self.segment_s) - 1

    def has_segment(self, number: int) -> bool:
        """Whether the segment exists now: not yet to come, not yet gone."""
        newest = self.newest()
        return newest - _KEPT_SEGMENTS < number <= newest

    def appears_at(self, number: int) -> float:
        """When the segment appears, Unix seconds."""
        return (number + 1) * self.segment_s

    @property
    def playlist_lifetime_s(self) -> int:
        """Freshness of the playlist: half a segment, at least a second."""
        return max(1, int(self.segment_s / 2))

    def playlist(self) -> str:
        """The media playlist as of now."""
        newest = self.newest()
        first = newest - WINDOW_SEGMENTS + 1
        began = datetime.fromtimestamp(first * self.segment_s, UTC).isoformat(timespec="milliseconds")
        lines = [
            "#EXTM3U",
            "#EXT-X-VERSION:3",
            f"#EXT-X-TARGETDURATION:{math.ceil(self.segment_s)}",
            f"#EXT-X-MEDIA-SEQUENCE:{first}",
            f"#EXT-X-PROGRAM-DATE-TIME:{began}",
        ]
        for number in range(first, newest + 1):
            lines += [f"#EXTINF:{self.segment_s:.3f},", f"segment-{number}.ts"]
        return "\n".join(lines) + "\n"
