"""The target on its way to the origin, as the route rewrites it."""

from __future__ import annotations

import re
from functools import lru_cache

from proxy.config.settings import RouteSettings
from proxy.errors import ClientError
from proxy.http.messages import RequestHead
from proxy.policy.query import with_normal_query

_PATH = re.compile(rb"/[!\"$->@-~]*")  # visible ASCII less # and ?


def forward_target(request: RequestHead, *, route: RouteSettings) -> bytes:
    """The target that the origin is asked for: the path rewritten, the query as it came.

    Of GET and HEAD the query is normalised where the route says so; whatever else is asked may mean each
    octet of it. Percent-encoded octets stay as they are.

    Raises: ClientError if the route's pattern makes of this path what is no path.
    """
    target = _rewritten(request, route)
    return with_normal_query(target, rules=route.query) if request.method in ("GET", "HEAD") else target


def keyed_target(request: RequestHead, *, route: RouteSettings) -> bytes:
    """The target that the origin is asked for by a GET, whatever the method of this request.

    Raises: as `forward_target`.
    """
    return with_normal_query(_rewritten(request, route), rules=route.query)


def _rewritten(request: RequestHead, route: RouteSettings) -> bytes:
    """`strip_prefix` goes only where whole segments match, `*` is never rewritten."""
    rewrite = route.rewrite
    nothing = rewrite.pattern is None and rewrite.strip_prefix is None and rewrite.add_prefix is None
    if nothing or not request.target.startswith(b"/"):
        return request.target
    path, question_mark, query = request.target.partition(b"?")
    if rewrite.pattern is not None and rewrite.replacement is not None:
        path = _by_pattern(path, rewrite.pattern, rewrite.replacement)
    else:
        path = _by_prefix(path, rewrite.strip_prefix, rewrite.add_prefix)
    return path + question_mark + query


def _by_prefix(path: bytes, strip: str | None, add: str | None) -> bytes:
    prefix = (strip or "").rstrip("/").encode()
    if prefix and (path == prefix or path.startswith(prefix + b"/")):
        path = path[len(prefix) :] or b"/"
    return (add or "").rstrip("/").encode() + path


@lru_cache(maxsize=1024)
def _compiled(pattern: str) -> re.Pattern[bytes]:
    return re.compile(pattern.encode())


def _by_pattern(path: bytes, pattern: str, replacement: str) -> bytes:
    match = _compiled(pattern).fullmatch(path)
    if match is None:
        return path
    rewritten = match.expand(replacement.encode())
    if not _PATH.fullmatch(rewritten):
        raise ClientError(f"the route's rewrite.pattern makes {rewritten!r} of {path!r}, which is no path")
    return rewritten
