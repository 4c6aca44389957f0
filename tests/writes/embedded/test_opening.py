"""From a directory to an open journal, or to a refusal."""

from __future__ import annotations

from pathlib import Path

import pytest

from proxy.config.write_settings import JournalSettings
from proxy.errors import ConfigError
from proxy.writes.embedded.home import Home
from proxy.writes.embedded.opening import Opened, open_journal


def settings_of(directory: Path, **settings: object) -> JournalSettings:
    return JournalSettings(directory=directory, **settings)  # type: ignore[arg-type]


def opened_once(settings: JournalSettings, *, clean: bool = True) -> Opened:
    """Open and end a journal; what was found."""
    home = Home(settings.directory)
    opened = open_journal(home, settings)
    if clean:
        opened.database.set_meta(clean=1)
    opened.database.connection.close()
    home.release()
    return opened


def test_a_new_journal_is_clean_and_each_process_has_its_number(tmp_path: Path) -> None:
    settings = settings_of(tmp_path / "j")
    first = opened_once(settings)
    assert (first.clean, first.run, first.last_seq, first.position) == (True, 1, 0, 0)
    second = opened_once(settings, clean=False)
    assert (second.clean, second.run, second.position) == (True, 2, 0)
    third = opened_once(settings)
    assert (third.clean, third.run) == (False, 3)
    assert third.position > 0, "a new generation"


def test_a_key_is_made_beside_the_journal_or_taken_from_its_file(tmp_path: Path) -> None:
    opened_once(settings_of(tmp_path / "j"))
    assert (tmp_path / "j" / "journal.key").stat().st_mode & 0o077 == 0
    elsewhere = tmp_path / "key"
    elsewhere.touch(mode=0o600)
    elsewhere.write_text("ab" * 32)
    opened_once(settings_of(tmp_path / "k", key_file=elsewhere))
    assert not (tmp_path / "k" / "journal.key").exists()
    opened_once(settings_of(tmp_path / "k", key_file=elsewhere))


def test_a_journal_without_its_key_is_refused_and_not_begun_anew(tmp_path: Path) -> None:
    settings = settings_of(tmp_path / "j")
    opened_once(settings)
    (tmp_path / "j" / "journal.key").unlink()
    with pytest.raises(ConfigError, match=r"journal\.key, which cannot be read"):
        opened_once(settings)
    assert not (tmp_path / "j" / "journal.key").exists()


def test_a_journal_is_refused_with_another_key(tmp_path: Path) -> None:
    opened_once(settings_of(tmp_path / "j"))
    (tmp_path / "j" / "journal.key").write_text("00" * 32)
    with pytest.raises(ConfigError, match="sealed with another key"):
        opened_once(settings_of(tmp_path / "j"))


def test_the_number_of_shards_is_that_of_the_journal(tmp_path: Path) -> None:
    opened_once(settings_of(tmp_path / "j", shards=8))
    with pytest.raises(ConfigError, match=r"shards is 16, and the journal .* has 8"):
        opened_once(settings_of(tmp_path / "j", shards=16))
    opened_once(settings_of(tmp_path / "j", shards=8))


def test_two_processes_on_one_journal(tmp_path: Path) -> None:
    settings = settings_of(tmp_path / "j")
    home = Home(settings.directory)
    opened = open_journal(home, settings)
    with pytest.raises(ConfigError, match="another Lockgate uses"):
        opened_once(settings)
    opened.database.connection.close()
    home.release()
    opened_once(settings)


@pytest.mark.parametrize("octets", [5000, 20_000])
def test_a_torn_journal_is_refused_and_left_as_it_is(tmp_path: Path, octets: int) -> None:
    settings = settings_of(tmp_path / "j")
    opened_once(settings, clean=False)
    database = tmp_path / "j" / "journal.db"
    whole = database.read_bytes()
    assert len(whole) > octets
    database.write_bytes(whole[:octets])
    with pytest.raises(ConfigError, match=r"journal\.db (is damaged|cannot be used)"):
        opened_once(settings)
    assert database.read_bytes() == whole[:octets]


@pytest.mark.parametrize("cut", [1, 5000])
def test_a_journal_that_lacks_its_last_octets_is_refused_after_a_clean_end_too(
    tmp_path: Path, cut: int
) -> None:
    settings = settings_of(tmp_path / "j")
    opened_once(settings)
    database = tmp_path / "j" / "journal.db"
    left = database.read_bytes()[:-cut]
    database.write_bytes(left)
    with pytest.raises(ConfigError, match=r"journal\.db is damaged"):
        opened_once(settings)
    assert database.read_bytes() == left


def test_a_damaged_page_is_found_after_an_unclean_end(tmp_path: Path) -> None:
    settings = settings_of(tmp_path / "j")
    opened_once(settings, clean=False)
    database = tmp_path / "j" / "journal.db"
    whole = bytearray(database.read_bytes())
    whole[4096:8192] = b"\xff" * 4096
    database.write_bytes(whole)
    with pytest.raises(ConfigError, match=r"journal\.db (is damaged|cannot be used)"):
        opened_once(settings)


def test_orphans_are_collected_at_start(tmp_path: Path) -> None:
    settings = settings_of(tmp_path / "j")
    opened_once(settings)
    orphan = tmp_path / "j" / "bodies" / "0000000000000001"
    orphan.write_bytes(b"left by a crash")
    opened_once(settings)
    assert not orphan.exists()
