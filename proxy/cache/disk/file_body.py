"""A stored body that stays in its file: read by each reader at its own pace, verified block by block.

It is a `SharedBody` that has ended and all of whose octets have left memory: `whole` is false, since they
are not at hand, and everything else holds. How the file is read is said in `block_file.py`.
"""

from __future__ import annotations

from proxy.cache.disk.block_file import BlockFile, Descriptor
from proxy.coalesce.body import SharedBody


class FileBody(SharedBody):
    """The body of a file that was written and verified to have this length and these block checksums."""

    __slots__ = ("_file",)

    def __init__(self, file: BlockFile) -> None:
        super().__init__(expected_bytes=file.readable_bytes)
        self.ended = True
        self._file = file
        self._leave_to(file)

    def __repr__(self) -> str:
        return f"<FileBody of {self._file!r}>"

    @property
    def blocks(self) -> bytes:
        """The block checksums, as they lie in the file."""
        return self._file.blocks

    @property
    def descriptor(self) -> Descriptor:
        """The open file; its body begins at octet 0."""
        return self._file.descriptor

    @property
    def damaged(self) -> bool:
        """Whether a block of it was found not to be what was written."""
        return self._file.error is not None
