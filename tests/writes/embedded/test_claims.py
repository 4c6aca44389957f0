"""Idempotency keys in memory and in rows."""

from __future__ import annotations

import sqlite3

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.errors import QueueUnavailable
from proxy.writes.embedded.claims import _digest
from proxy.writes.port import ClaimKind
from proxy.writes.write import Idempotency
from tests.writes.backends import EmbeddedBackend
from tests.writes.embedded.faults import failing_connection, io_error
from tests.writes.making import make_write

KEY = Idempotency("scope", "telling-key", b"f")


@given(st.tuples(st.text(), st.text()), st.tuples(st.text(), st.text()))
def test_two_scopes_and_keys_never_run_together(one: tuple[str, str], other: tuple[str, str]) -> None:
    assert (_digest(Idempotency(*one, b"")) == _digest(Idempotency(*other, b""))) == (one == other)


async def test_the_key_itself_is_not_in_the_file(backend: EmbeddedBackend) -> None:
    write = make_write(idempotency=KEY)
    await backend.store.claim(KEY, write.id, expires_at=2e9)
    await backend.queue.put(write)
    await backend.queue.close(clean=True)
    for path in backend.settings.directory.glob("journal.db*"):
        assert b"telling-key" not in path.read_bytes()


async def test_the_claim_of_a_write_that_was_not_kept_is_void(backend: EmbeddedBackend) -> None:
    failing = await failing_connection(backend)
    failing.failing = lambda: io_error(sqlite3.SQLITE_FULL)
    write = make_write(idempotency=KEY)
    await backend.store.claim(KEY, write.id, expires_at=2e9)
    with pytest.raises(QueueUnavailable):
        await backend.queue.put(write)
    assert (await backend.store.claim(KEY, "w2", expires_at=2e9)).kind is ClaimKind.OURS
