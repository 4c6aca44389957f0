"""From a directory to an open journal, or to a clear refusal that leaves everything as it was."""

from __future__ import annotations

import logging
import sqlite3
from dataclasses import dataclass
from typing import Any, cast

from proxy.config.write_settings import JournalSettings
from proxy.errors import ConfigError
from proxy.writes.embedded import schema
from proxy.writes.embedded.database import Database
from proxy.writes.embedded.home import Home, sync_directory
from proxy.writes.embedded.sealing import Damaged, Seal, make_key, read_key
from proxy.writes.embedded.spool import Spool

logger = logging.getLogger(__name__)

_KEY_CHECK = b"key check"


@dataclass(frozen=True, slots=True)
class Opened:
    """An open journal as the event loop first sees it.

    `clean` tells that the process before us ended with nothing at the origin, `run` numbers the processes;
    `last_seq` is that of the last queued write, 0 if none was left.
    """

    database: Database
    spool: Spool
    clean: bool
    run: int
    last_seq: int
    position: int
    floors: dict[int, int]


def open_journal(home: Home, settings: JournalSettings) -> Opened:
    """Take the directory and open its journal, or make one. Blocks.

    Raises: ConfigError; the directory is free again then.
    """
    home.acquire()
    try:
        return _open(home, settings)
    except (sqlite3.Error, OSError) as error:
        home.release()
        raise ConfigError(
            f"{home.setting}, where journal.db cannot be used: {error}. Nothing was thrown away: free or "
            "repair the disk, restore the file, or move it aside to begin anew."
        ) from error
    except BaseException:
        home.release()
        raise


def _open(home: Home, settings: JournalSettings) -> Opened:
    exists = schema.check(home)
    seal = Seal(_key(home, settings, exists=exists))
    if not exists:
        meta = {
            "shards": settings.shards,
            "runs": 0,
            "generation": 0,
            "position": 0,
            "clean": 1,
            "key check": seal.seal(b"", _KEY_CHECK),
        }
        schema.make(home, meta)
    connection = schema.connect(home)
    try:
        return _opened(home, settings, connection, seal)
    except BaseException:
        connection.close()
        raise


def _key(home: Home, settings: JournalSettings, *, exists: bool) -> bytes:
    path = home.key if settings.key_file is None else settings.key_file
    if not exists and settings.key_file is None and not path.exists():
        key = make_key(path)
        sync_directory(home.path)
        return key
    return read_key(path)


def _opened(home: Home, settings: JournalSettings, connection: sqlite3.Connection, seal: Seal) -> Opened:
    meta: dict[str, Any] = dict(connection.execute("SELECT name, value FROM meta"))
    try:
        seal.open(meta["key check"], _KEY_CHECK)
    except Damaged as error:
        raise ConfigError(
            f"{home.setting}, which was sealed with another key than the one in "
            f"{settings.key_file or home.key}. Put its own key back (writes.journal.key_file)."
        ) from error
    if meta["shards"] != settings.shards:
        raise ConfigError(
            f"writes.journal.shards is {settings.shards}, and the journal in {home.path} has {meta['shards']}"
            ": keys would change their shards. Set it back, or drain the journal and begin a new one."
        )
    clean = bool(meta["clean"])
    if not clean and (fault := schema.is_sound(connection)) is not None:
        raise ConfigError(
            f"{home.setting}, where journal.db is damaged: {fault}. It was left as it is. Restore it, or "
            "move it aside to begin anew."
        )
    database = Database(connection, seal)
    run = meta["runs"] + 1
    database.generation += 0 if clean else 1
    database.begin()
    database.set_meta(runs=run, clean=0, generation=database.generation)
    database.commit()
    spool = Spool(home.bodies, seal)
    _collect_orphans(connection, spool)
    (last_seq,) = connection.execute("SELECT coalesce(max(seq), 0) FROM queued").fetchone()
    logger.info("journal_opened directory=%s run=%d clean=%s", home.path, run, clean)
    return Opened(
        database=database,
        spool=spool,
        clean=clean,
        run=run,
        last_seq=cast(int, last_seq),
        position=database.position,
        floors=dict(connection.execute("SELECT shard, position FROM floor")),
    )


def _collect_orphans(connection: sqlite3.Connection, spool: Spool) -> None:
    named = {
        name
        for (name,) in connection.execute(
            "SELECT body FROM queued WHERE body IS NOT NULL"
            " UNION SELECT body FROM dead WHERE body IS NOT NULL"
        )
    }
    orphans = spool.collect_orphans(named)
    if orphans:
        logger.info("journal_orphans_removed bodies=%d", orphans)
