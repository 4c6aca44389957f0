"""What a scalar of the file means: the environment put in, then the type by the YAML 1.2 core schema.

YAML 1.1, which PyYAML reads by default, turns `on` and `no` into booleans, `010` into 8 and `12:30` into
750; all of these are text here. Numbers are decimal.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping

from proxy.config.tree import Plain

_REFERENCE = re.compile(r"\$\$|\$\{([^{}]*)\}|\$\{")
_NAME = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)(?::-(.*))?", re.DOTALL)
_INT = re.compile(r"[-+]?(?:0|[1-9][0-9]{0,17})")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|(?:0|[1-9][0-9]*)(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]{1,3})?")
_WORDS: dict[str, Plain] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}


def with_environment(text: str, environ: Mapping[str, str]) -> str:
    """`text` with `${NAME}` and `${NAME:-default}` replaced, and `$$` by one dollar sign.

    The default also takes the place of an empty variable, as in a shell.
    Raises: ValueError, with what to write instead.
    """

    def value_of(found: re.Match[str]) -> str:
        if found[0] == "$$":
            return "$"
        inner = None if found[1] is None else _NAME.fullmatch(found[1])
        if inner is None:
            raise ValueError(
                f"{found[0]!r} is not ${{NAME}} or ${{NAME:-default}}; write $${{ for the characters ${{"
            )
        name, default = inner[1], inner[2]
        value = environ.get(name)
        if default is not None and not value:
            return default
        if value is None:
            raise ValueError(
                f"needs the environment variable {name}, which is not set: "
                f"set it, or write ${{{name}:-default}}"
            )
        return value

    return _REFERENCE.sub(value_of, text)


def resolved(text: str) -> Plain:
    """The value of a plain (unquoted) scalar."""
    if text in _WORDS:
        return _WORDS[text]
    if _INT.fullmatch(text):
        return int(text)
    if _FLOAT.fullmatch(text):
        number = float(text)
        return number if math.isfinite(number) else text
    return text
