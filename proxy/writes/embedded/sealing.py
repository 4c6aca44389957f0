"""Encryption of what the journal keeps of requests and answers.

A queued request carries the client's tokens and cookies, and its body may hold anything; a result carries
Set-Cookie. So records and bodies are sealed, always, with AES-256-GCM. Readable in the file are ids, keys,
times and events: what an operator or a subscriber sees as well.

The key is a file that only its owner may read, made beside the journal at first; `key_file` puts it
elsewhere, so that a copy of the journal alone tells nothing. Without its key a journal is refused, never
begun anew.

Each process seals under a key of its own, derived from the file's with a random salt, and counts its
nonces: random ones run out at 2^32 records (NIST SP 800-38D §8.3), which a busy journal reaches within
months, and a counter that goes on across restarts repeats itself when a backup is put back. What is sealed is
bound to its place (row or file name), so that it cannot be moved to another one.
"""

from __future__ import annotations

import hmac
import os
import stat
from functools import lru_cache
from itertools import count
from pathlib import Path
from typing import Final

try:
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM
except ImportError as _missing:  # pragma: no cover - the tests have it
    raise ImportError(
        "Queued writes are kept encrypted, which needs the package cryptography: "
        "pip install 'lockgate[writes]'."
    ) from _missing

from proxy.errors import ConfigError

KEY_BYTES: Final = 32
_SALT_BYTES: Final = 16
_COUNTER_BYTES: Final = 8
_KEYS_REMEMBERED: Final = 1024
"""Of earlier processes. One is derived in some microseconds."""


class Damaged(Exception):
    """What was read is not what was sealed there: changed, moved, or of another key."""


class Seal:
    """Seals and opens. Safe to use from several threads."""

    def __init__(self, key: bytes) -> None:
        assert len(key) == KEY_BYTES, "AES-256 has keys of 32 octets"
        self._key = key
        self._salt = os.urandom(_SALT_BYTES)
        self._ours = AESGCM(self._derive(self._salt))
        self._counter = count()  # its `next` is one step under the interpreter's lock
        self._of_salt = lru_cache(_KEYS_REMEMBERED)(lambda salt: AESGCM(self._derive(salt)))

    def __repr__(self) -> str:
        return "<Seal>"  # never the key

    def _derive(self, salt: bytes) -> bytes:
        return hmac.digest(self._key, b"lockgate journal" + salt, "sha256")

    def seal(self, plain: bytes, place: bytes) -> bytes:
        """Encrypt, for this place only."""
        counter = next(self._counter).to_bytes(_COUNTER_BYTES, "big")
        return b"".join((self._salt, counter, self._ours.encrypt(b"\0\0\0\0" + counter, plain, place)))

    def open(self, sealed: bytes, place: bytes) -> bytes:
        """Decrypt what was sealed for this place. Raises: Damaged."""
        salt, counter = sealed[:_SALT_BYTES], sealed[_SALT_BYTES : _SALT_BYTES + _COUNTER_BYTES]
        try:
            return self._of_salt(salt).decrypt(
                b"\0\0\0\0" + counter, sealed[_SALT_BYTES + _COUNTER_BYTES :], place
            )
        except (InvalidTag, ValueError) as error:
            raise Damaged(f"what lies at {place.decode(errors='replace')} was not sealed there") from error


def read_key(path: Path) -> bytes:
    """The key in a file: 64 hexadecimal digits. Raises: ConfigError."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            mode = os.fstat(fd).st_mode
            text = os.read(fd, 1024)
        finally:
            os.close(fd)
    except OSError as error:
        raise ConfigError(f"The key of the journal is {path}, which cannot be read: {error}") from error
    if mode & (stat.S_IROTH | stat.S_IWOTH):
        raise ConfigError(
            f"The key of the journal is {path}, which everybody may read or write "
            f"(mode {stat.S_IMODE(mode):04o}). chmod 600 it; where others had it, begin with a new journal."
        )
    try:
        key = bytes.fromhex(text.decode("ascii"))
    except ValueError:
        key = b""
    if len(key) != KEY_BYTES:
        raise ConfigError(
            f"The key of the journal is {path}, which does not hold 64 hexadecimal digits. "
            "`openssl rand -hex 32` makes some."
        )
    return key


def make_key(path: Path) -> bytes:
    """Write a new key to a file, durably, and never half of one. Raises: OSError.

    The caller has seen that there is none, holds the directory, and syncs its names.
    """
    key = os.urandom(KEY_BYTES)
    aside = path.with_suffix(".new")
    aside.unlink(missing_ok=True)
    fd = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        os.write(fd, key.hex().encode() + b"\n")
        os.fsync(fd)
    finally:
        os.close(fd)
    os.rename(aside, path)
    return key
