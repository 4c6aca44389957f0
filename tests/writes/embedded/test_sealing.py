"""What is sealed can be opened with the key and at its place, and otherwise not."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.errors import ConfigError
from proxy.writes.embedded.sealing import KEY_BYTES, Damaged, Seal, make_key, read_key

KEY = bytes(range(KEY_BYTES))
SECRET = b"Authorization: Bearer secret"


@given(plain=st.binary(max_size=2000), place=st.binary(max_size=30))
def test_what_is_sealed_is_opened_by_this_process_and_the_next(plain: bytes, place: bytes) -> None:
    sealed = Seal(KEY).seal(plain, place)
    assert Seal(KEY).open(sealed, place) == plain


def test_nothing_of_it_can_be_read_and_no_two_are_alike() -> None:
    seal = Seal(KEY)
    first, second = seal.seal(SECRET, b"p"), seal.seal(SECRET, b"p")
    assert b"secret" not in first
    assert first != second
    assert b"secret" not in repr(seal).encode()
    assert KEY.hex() not in repr(seal)


def test_two_processes_never_seal_under_one_key_and_nonce() -> None:
    assert Seal(KEY).seal(b"", b"")[:24] != Seal(KEY).seal(b"", b"")[:24]


@given(at=st.integers(0, 60), bit=st.integers(0, 7))
def test_a_changed_octet_is_seen(at: int, bit: int) -> None:
    sealed = bytearray(Seal(KEY).seal(SECRET, b"p"))
    sealed[at % len(sealed)] ^= 1 << bit
    with pytest.raises(Damaged):
        Seal(KEY).open(bytes(sealed), b"p")


@pytest.mark.parametrize("size", range(0, 68, 9))
def test_what_is_cut_is_seen(size: int) -> None:
    with pytest.raises(Damaged):
        Seal(KEY).open(Seal(KEY).seal(SECRET, b"p")[:size], b"p")


def test_it_opens_neither_at_another_place_nor_with_another_key() -> None:
    sealed = Seal(KEY).seal(SECRET, b"queued 1")
    with pytest.raises(Damaged):
        Seal(KEY).open(sealed, b"queued 2")
    with pytest.raises(Damaged):
        Seal(bytes(KEY_BYTES)).open(sealed, b"queued 1")


def test_a_key_is_made_for_its_owner_only_and_whole(tmp_path: Path) -> None:
    path = tmp_path / "key"
    key = make_key(path)
    assert len(key) == KEY_BYTES
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert read_key(path) == key
    assert os.listdir(tmp_path) == ["key"]
    (tmp_path / "torn.new").write_text("ab")  # what a crash left
    assert make_key(tmp_path / "torn.key") == read_key(tmp_path / "torn.key")


@pytest.mark.parametrize("text", ["", "00", "zz" * 32, "00" * 31, "00" * 33])
def test_a_file_without_a_key_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "key"
    path.touch(mode=0o600)
    path.write_text(text)
    with pytest.raises(ConfigError, match="64 hexadecimal digits"):
        read_key(path)


def test_a_key_that_everybody_may_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "key"
    make_key(path)
    os.chmod(path, 0o644)
    with pytest.raises(ConfigError, match="0644"):
        read_key(path)


def test_a_key_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="nowhere"):
        read_key(tmp_path / "nowhere")
