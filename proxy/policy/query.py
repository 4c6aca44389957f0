"""The query as a route normalises it, in the cache key and on its way to the origin alike.

Both, because a parameter that is not in the key must not reach the origin: an answer that depends on it
would be stored for everybody who leaves it out (cache poisoning by unkeyed input). So what is looked up
is what was asked.
"""

from __future__ import annotations

import re
from functools import lru_cache
from urllib.parse import unquote_to_bytes

from proxy.config.settings import QuerySettings


def with_normal_query(target: bytes, *, rules: QuerySettings) -> bytes:
    """The target with its query normalised; the same octets where the rules do nothing. Idempotent.

    Names are compared decoded, as an origin would read them: `utm%5Fid` is `utm_id`. What is kept stays
    octet for octet; empty parameters, and a query of which nothing is left, go.
    """
    if not (rules.sort or rules.drop or rules.keep is not None):
        return target
    path, question_mark, query = target.partition(b"?")
    if not question_mark:
        return target
    parameters = [parameter for parameter in query.split(b"&") if parameter and _is_kept(parameter, rules)]
    if rules.sort:
        parameters.sort(key=_raw_name)  # stable: what is said twice keeps its order, which may mean something
    return path + b"?" + b"&".join(parameters) if parameters else path


def _raw_name(parameter: bytes) -> bytes:
    return parameter.partition(b"=")[0]


def parameter_name(parameter: bytes) -> bytes:
    """The name of `name=value` as a form decoder reads it."""
    return unquote_to_bytes(_raw_name(parameter).replace(b"+", b" "))


def _is_kept(parameter: bytes, rules: QuerySettings) -> bool:
    name = parameter_name(parameter)
    if any(_pattern(pattern).fullmatch(name) for pattern in rules.drop):
        return False
    return rules.keep is None or any(_pattern(pattern).fullmatch(name) for pattern in rules.keep)


@lru_cache(maxsize=1024)
def _pattern(pattern: str) -> re.Pattern[bytes]:
    return re.compile(b".*".join(re.escape(part) for part in pattern.encode().split(b"*")), re.DOTALL)
