"""What is wrong in a configuration file, with the place of each; all of a file are told at once."""

from __future__ import annotations

from dataclasses import dataclass

from proxy.errors import ConfigError


@dataclass(frozen=True, slots=True, order=True)
class Mark:
    """A place in the file; both count from 1, as editors do."""

    line: int
    column: int


FILE_START = Mark(1, 1)


class Problems:
    """Collects what is wrong in one file; the first problem of a place and setting is kept."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._found: dict[tuple[Mark, str], str] = {}

    def __repr__(self) -> str:
        return f"Problems({self._source!r}, {len(self._found)} found)"

    def __bool__(self) -> bool:
        return bool(self._found)

    def add(self, mark: Mark, path: str, text: str) -> None:
        """Note that the setting `path` (empty: the file as a whole) at `mark` is wrong."""
        self._found.setdefault((mark, path), text)

    def raise_any(self) -> None:
        """Raises: ConfigError with one line a problem, in the order of the file, if there is any."""
        if self._found:
            raise self.error()

    def error(self) -> ConfigError:
        """The error that tells them all."""
        lines = (
            f"{self._source}:{mark.line}:{mark.column}: {path}{' ' if path else ''}{text}"
            for (mark, path), text in sorted(self._found.items())
        )
        return ConfigError("\n".join(lines))
