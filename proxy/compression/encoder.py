"""What an encoder is."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

Encode = Callable[[Iterable[bytes]], Iterator[bytes]]
"""From the pieces of a body to those of its coding, empty ones included; runs in a thread."""
