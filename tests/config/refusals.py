"""Helpers for tests of bad configurations: a small right file, and what is said about a wrong one."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping

from proxy.config.loading import from_text
from proxy.errors import ConfigError

RIGHT = """\
origins: {app: {addresses: ["http://127.0.0.1:9000"]}}
routes: [{origin: app}]
"""


def refusals(text: str, environ: Mapping[str, str] | None = None) -> list[str]:
    """The lines of the error that `text` ends with; none if it is right."""
    try:
        from_text(textwrap.dedent(text), source="f.yaml", environ=environ or {})
    except ConfigError as error:
        return str(error).splitlines()
    return []


def only_refusal(text: str, environ: Mapping[str, str] | None = None) -> str:
    """The only line said about `text`."""
    lines = refusals(text, environ)
    assert len(lines) == 1, "\n".join(lines) or "nothing was refused"
    return lines[0]


def with_right(text: str) -> str:
    """`text` from line 3 on, after a right file."""
    return RIGHT + textwrap.dedent(text)
