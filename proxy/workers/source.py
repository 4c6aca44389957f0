"""Where a configuration comes from: the same text for the supervisor and for all workers."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from proxy.config.loading import for_origin, from_text, objection, text_of, with_admin, with_workers
from proxy.config.settings import Config
from proxy.errors import ConfigError
from proxy.workers.frames import Message


@dataclass(frozen=True, slots=True)
class ConfigSource:
    """A file's name and what was read from it, or `--origin`; and what the command line says besides."""

    file: str | None = None
    text: str | None = None
    origin: str | None = None
    listen: str | None = None
    admin: str | None = None
    workers: int | None = None

    def read(self) -> ConfigSource:
        """The same with the file's present text. Raises: ConfigError."""
        return self if self.file is None else replace(self, text=text_of(Path(self.file)))

    def config(self, environ: Mapping[str, str] = os.environ) -> Config:
        """The configuration. Raises: ConfigError, one line a problem."""
        if self.origin is not None:
            config = for_origin(self.origin, self.listen)
        else:
            if self.text is None or self.file is None:
                raise ConfigError("there is no configuration: neither a file nor an origin is named")
            config = from_text(self.text, source=self.file, environ=environ)
        if self.admin is not None:
            config = with_admin(config, self.admin)
        return config if self.workers is None else with_workers(config, self.workers)

    def objection(
        self, paths: Iterable[str], told: str, environ: Mapping[str, str] = os.environ
    ) -> ConfigError:
        """What is wrong with these settings of it, with their places where there is a file."""
        if self.file is None or self.text is None:
            return ConfigError(f"{', '.join(paths)} {told}")
        return objection(paths, told, text=self.text, source=self.file, environ=environ)

    def message(self) -> Message:
        """As JSON values."""
        return asdict(self)


def slots_of(config: Config) -> int:
    """How many workers it wants on this machine."""
    count = config.workers.count
    return count if count is not None else len(os.sched_getaffinity(0))
