"""What a client was told of its write, as it goes into the history: alike for who writes and who follows."""

from __future__ import annotations

from collections.abc import Sequence

from loadtest.writes.history import ClientHistory
from loadtest.writes.reading import Told, Word


def note(history: ClientHistory, told: Told, write: str, keys: Sequence[str], *, by: str) -> None:
    """One line for each of the write's keys."""
    for key in keys:
        match told.word:
            case Word.OK:
                # Version 0, which nobody made, where an answer tells of versions and not of this key's.
                version = None if told.versions is None else told.versions.get(key, 0)
                history.ok(write, key, by=by, version=version)
            case Word.ACCEPTED:
                history.accepted(write, key, by=by, identity=told.location)
            case Word.FAIL:
                history.fail(write, key, by=by, why=told.why)
            case Word.LOST:
                history.lost(write, key, by=by, why=told.why)
            case _:
                history.info(write, key, by=by, why=told.why)
