"""What cannot be promised without a journal is refused with the setting that it needs."""

from __future__ import annotations

from proxy.config.write_settings import JournalSettings
from proxy.errors import QueueUnavailable
from proxy.writes.memory.state import SHARDS, MemoryState, needs_journal
from tests.writes.backends import TestClock


def test_the_error_names_the_setting() -> None:
    error = needs_journal("It")
    assert isinstance(error, QueueUnavailable)
    assert "set writes.journal.directory" in str(error)


def test_there_are_as_many_shards_as_a_journal_has() -> None:
    assert JournalSettings.model_fields["shards"].default == SHARDS == MemoryState(clock=TestClock()).shards
