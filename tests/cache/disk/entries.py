"""Entries, stores and files for the tests of the disk tier."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from proxy.cache.disk.store import DiskStore
from proxy.cache.entry import Entry
from proxy.coalesce.body import SharedBody
from proxy.config.settings import DiskSettings
from proxy.http.fields import Fields
from proxy.http.messages import ResponseHead
from proxy.policy.freshness import LifetimeSource
from proxy.policy.terms import Terms
from tests.origin.manual_clock import ManualClock

BOOT = b"a boot.."


def a_key(target: bytes, *added: bytes) -> bytes:
    """A key as `policy.keys.cache_key` makes them, with what a route adds."""
    route = b"".join(b"%d:%b," % (len(part), part) for part in (b"default", b"*", b"/"))
    parts = (b"http", b"example.org", target, route)
    return b"".join(b"%d:%b," % (len(part), part) for part in parts) + b"".join(added)


KEY = a_key(b"/key")


def an_entry(
    key: bytes = KEY,
    body: bytes = b"body",
    *,
    varies_on: tuple[bytes, ...] = (),
    variant: tuple[bytes | None, ...] = (),
    tags: Iterable[bytes] = (),
    requested_mono: float = 999.0,
    received_mono: float = 1_000.0,
    received_at: float = 1_800_000_000.0,
    lifetime_s: float = 60.0,
    shared: SharedBody | None = None,
) -> Entry:
    return Entry(
        key=key,
        varies_on=varies_on,
        variant=variant,
        head=ResponseHead(200, Fields([(b"ETag", b'"v1"'), (b"X-Raw", b"\xff\x00")]), b"Fine", 0),
        body=shared or SharedBody.complete([body]),
        terms=Terms(lifetime_s, LifetimeSource.S_MAXAGE, 1.0, 2.0, 3.0, with_authorization=True),
        initial_age_s=1.5,
        requested_mono=requested_mono,
        received_mono=received_mono,
        received_at=received_at,
        tags=frozenset(tags),
    )


def disk_settings(directory: Path, **settings: object) -> DiskSettings:
    return DiskSettings.model_validate({"directory": directory, "min_free_bytes": 0, **settings})


def a_store(
    directory: Path, *, clock: ManualClock | None = None, boot: bytes = BOOT, **settings: object
) -> DiskStore:
    return DiskStore(disk_settings(directory, **settings), clock=clock or ManualClock(), boot=boot)


async def stored(store: DiskStore, *entries: Entry, max_variants: int = 8) -> None:
    """Put these, and wait until they are written."""
    for entry in entries:
        assert store.put(entry, max_variants=max_variants)
    await store.wait_written()


async def body_of(entry: Entry | None, first: int = 0, last: int | None = None) -> bytes | None:
    """All octets of an entry's body, as a client would get them."""
    if entry is None:
        return None
    reader = entry.body.reader(first, last)
    pieces = []
    while piece := await reader.read():
        pieces.append(piece)
    reader.close()
    return b"".join(pieces)


def object_files(directory: Path) -> list[Path]:
    """Every file that lies in a shard."""
    return sorted(path for path in (directory / "objects").glob("*/*") if path.is_file())
