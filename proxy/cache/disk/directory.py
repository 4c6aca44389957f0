"""The directory of the disk tier: whose it is, what lies in it, how files come and go.

    lockgate.lock   held while a process uses the directory (`proxy/held_directory.py`)
    purges.log      the durable purges (`purge_log.py`)
    parts/          files being written
    objects/abc/    4,096 shards of whole files (`place.py`)

A file is written in `parts/` and renamed into place, so that under an object's name there is never half
of one. O_TMPFILE with linkat would leave no leftovers, but cannot replace a file that is there, and so
needs the same name aside and the same rename besides: one way for every file system is simpler, and
leftovers lie in one place where they are removed at start.

Every function here blocks: they run in the tier's threads.
"""

from __future__ import annotations

import ctypes
import errno
import os
from collections.abc import Sequence
from itertools import count
from pathlib import Path

from proxy.cache.disk.access import PATIENT, Access
from proxy.cache.disk.place import SHARDS, Place, shard_name
from proxy.held_directory import HeldDirectory

LOG_NAME = "purges.log"


class Directory(HeldDirectory):
    """One directory of the tier."""

    KIND = "disk cache"

    def __init__(self, path: Path) -> None:
        super().__init__(path, setting="cache.disk.directory")
        self.objects = path / "objects"
        self.parts = path / "parts"
        self.log = path / LOG_NAME
        self._prefix = f"{self.objects}/"  # joining paths takes a quarter of the time to index a file
        self._numbers = count()
        self.leftovers = 0
        """Files that an earlier process was writing when it ended; removed by `acquire`."""

    def _prepare(self) -> None:
        self.objects.mkdir(mode=0o700, exist_ok=True)
        self.parts.mkdir(mode=0o700, exist_ok=True)
        for leftover in self.parts.iterdir():
            leftover.unlink()
            self.leftovers += 1

    def sync(self) -> None:
        """Make everything done so far durable, unlinks and renames included. Raises: OSError."""
        fd = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            libc = ctypes.CDLL(None, use_errno=True)
            if not hasattr(libc, "syncfs"):
                os.sync()
            elif libc.syncfs(fd) != 0:
                raise OSError(ctypes.get_errno(), "syncfs failed")
        finally:
            os.close(fd)

    # objects

    def open_object(self, place: Place, access: Access = PATIENT) -> int:
        """A descriptor for reading. Raises: OSError."""
        return access.open(self._prefix + place.path)

    def unlink_object(self, place: Place) -> bool:
        """Remove an object; False if there was none. Readers of it are not disturbed. Raises: OSError."""
        try:
            os.unlink(self._prefix + place.path)
        except FileNotFoundError:
            return False
        return True

    def soften_object(self, place: Place) -> None:
        """Mark an object as purged softly, in place: one octet is written whole or not. Raises: OSError."""
        try:
            fd = os.open(self._prefix + place.path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
        except FileNotFoundError:
            return
        try:
            size = os.fstat(fd).st_size
            if size:
                os.pwrite(fd, b"\xff", size - 1)
        finally:
            os.close(fd)

    def new_part(self) -> tuple[Path, int]:
        """A new file to write, readable too. Raises: OSError."""
        path = self.parts / f"{next(self._numbers)}.part"
        return path, os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)

    def write_object(self, place: Place, pieces: Sequence[bytes], *, fsync: bool) -> None:
        """Write a whole object and put it in its place. Raises: OSError; nothing is left then."""
        part, fd = self.new_part()
        try:
            try:
                write_all(fd, pieces)
                if fsync:
                    os.fsync(fd)
            finally:
                os.close(fd)
            self.publish(part, place)
        except OSError:
            remove_quietly(part)
            raise

    def publish(self, part: Path, place: Place) -> None:
        """Rename a written part into its place. Raises: OSError."""
        target = self._prefix + place.path
        try:
            os.rename(part, target)
        except FileNotFoundError:
            os.makedirs(os.path.dirname(target), mode=0o700, exist_ok=True)
            os.rename(part, target)

    def shard_names(self, shard: int) -> list[str]:
        """Names of the files in a shard, in no order. Raises: OSError, but not for a missing shard."""
        try:
            return os.listdir(self._prefix + shard_name(shard))
        except (FileNotFoundError, NotADirectoryError):
            return []

    def shards(self) -> tuple[list[int], int]:
        """The shards that exist, in order, and how many other names there are. Raises: OSError."""
        known = {shard_name(shard): shard for shard in range(SHARDS)}
        names = os.listdir(self.objects)
        found = sorted(known[name] for name in names if name in known)
        return found, len(names) - len(found)


def write_all(fd: int, pieces: Sequence[bytes]) -> None:
    """Write every octet. Raises: OSError."""
    left = [memoryview(piece) for piece in pieces if piece]
    while left:
        written = os.writev(fd, left[:512])  # below IOV_MAX everywhere
        if not written:
            raise OSError(errno.EIO, "nothing was written")
        while left and written >= len(left[0]):
            written -= len(left.pop(0))
        if written:
            left[0] = left[0][written:]


def remove_quietly(path: Path) -> None:
    """Remove a file of our own that is of no use any more; what cannot be removed is so at the next start."""
    try:
        os.unlink(path)
    except OSError:
        return
