"""Loads a configuration: from a file, from text, or for a single origin without any file.

Text becomes a tree of values with their places (`reading`), the tree is made ready (`arranging`), the
models judge it (`validating`). Every error of a file is told at once, each with file, line, column,
setting, value and what is allowed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from pydantic import ValidationError

from proxy.config.arranging import arranged
from proxy.config.problems import FILE_START, Problems
from proxy.config.reading import MAX_FILE_BYTES, read_tree
from proxy.config.settings import Config, ListenSettings, OriginSettings, RouteSettings, WorkersSettings
from proxy.config.tree import Node, Table, step
from proxy.config.validating import validated
from proxy.errors import ConfigError

DEFAULT_LISTEN = "127.0.0.1:8080"


def load(path: Path, *, environ: Mapping[str, str]) -> Config:
    """The configuration in a YAML file.

    Raises: ConfigError, one line a problem.
    """
    return from_text(text_of(path), source=str(path), environ=environ)


def from_text(text: str, *, source: str, environ: Mapping[str, str]) -> Config:
    """The configuration in YAML text; `source` names it in errors.

    Raises: ConfigError, one line a problem.
    """
    problems = Problems(source)
    tree = read_tree(text, problems=problems, environ=environ)
    config = None if tree is None else validated(arranged(tree, problems), problems)
    problems.raise_any()
    assert config is not None, "no configuration, and no problem either"
    return config


def objection(
    paths: Iterable[str], told: str, *, text: str, source: str, environ: Mapping[str, str]
) -> ConfigError:
    """What is wrong with settings of a configuration that is right by itself, each with its place."""
    problems = Problems(source)
    tree = read_tree(text, problems=problems, environ=environ)
    for path in paths:
        mark = FILE_START
        node: Node | None = None if tree is None else arranged(tree, problems)
        for name in path.split("."):
            if isinstance(node, Table) and name in node.keys:  # else it is one that was left out
                mark = node.keys[name]
            node = step(node, name)
        problems.add(mark, path, told)
    return problems.error()


def for_origin(url: str, listen: str | None) -> Config:
    """What `lockgate serve --origin URL` runs: one origin, one route, the defaults.

    Raises: ConfigError.
    """
    listener = ListenSettings(address=checked_address("--listen", listen or DEFAULT_LISTEN))
    try:
        origin = OriginSettings(addresses=(url,))
    except ValidationError as error:
        hint = f"; did you mean http://{url}?" if "://" not in url and not url.startswith("unix:") else ""
        raise ConfigError(f"--origin is {url!r}: {_said(error)}{hint}") from None
    return Config(listen=(listener,), origins={"origin": origin}, routes=(RouteSettings(origin="origin"),))


def with_admin(config: Config, address: str) -> Config:
    """The configuration with its admin listener at `address`, or without one if that is `off`.

    Raises: ConfigError.
    """
    if address == "off":
        admin = config.admin.model_copy(update={"enabled": False})
    else:
        checked = checked_address("--admin", address)
        admin = config.admin.model_copy(update={"enabled": True, "address": checked})
    return config.model_copy(update={"admin": admin})


def with_workers(config: Config, count: int) -> Config:
    """The configuration with so many workers. Raises: ConfigError."""
    try:
        workers = WorkersSettings(**{**config.workers.model_dump(), "count": count})
    except ValidationError as error:
        raise ConfigError(f"--workers is {count}: {_said(error)}") from None
    return config.model_copy(update={"workers": workers})


def checked_address(option: str, text: str) -> str:
    """An address given on the command line. Raises: ConfigError."""
    try:
        return ListenSettings(address=text).address
    except ValidationError as error:
        raise ConfigError(f"{option} is {text!r}: {_said(error)}") from None


def _said(error: ValidationError) -> str:
    first = error.errors(include_url=False)[0]
    return str(first["ctx"]["error"]) if first["type"] == "value_error" else first["msg"]


def text_of(path: Path) -> str:
    """What is in a configuration's file. Raises: ConfigError."""
    try:
        with path.open("rb") as file:
            octets = file.read(MAX_FILE_BYTES + 1)
    except IsADirectoryError:
        raise ConfigError(f"{path}: is a directory; name the YAML file in it") from None
    except FileNotFoundError:
        raise ConfigError(f"{path}: there is no such file") from None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None
    except ValueError as error:  # a null byte in the name
        raise ConfigError(f"{path}: cannot be read: {error}") from None
    if len(octets) > MAX_FILE_BYTES:
        raise ConfigError(f"{path}: is larger than {MAX_FILE_BYTES >> 10} KiB, the most that is read")
    try:
        return octets.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = octets.count(b"\n", 0, error.start) + 1
        column = error.start - octets.rfind(b"\n", 0, error.start)
        raise ConfigError(f"{path}:{line}:{column}: not UTF-8 text; save the file as UTF-8") from None
