"""The values that a request has for the variables of templates.

Each is taken only if the origin cannot take another for it: what is absent, empty, there twice or unreadable
is an `EntityMissing`, and the write is not queued under a guess.
"""

from __future__ import annotations

import re
from typing import Final, NoReturn
from urllib.parse import unquote_to_bytes

from proxy.errors import EntityMissing
from proxy.http.fields import Fields
from proxy.policy.hop_by_hop import hop_by_hop_names
from proxy.writes.front.json_members import member_at, parse_json, scalar_text
from proxy.writes.front.templates import Source, Variable

MAX_JSON_OCTETS: Final = 1024 * 1024
"""Of a body that is read for an entity: that takes 60 ms at the worst, in which nothing else is done."""

_JSON_TYPE: Final = re.compile(
    rb"""application/(?:[!#$&^_.+0-9a-z-]+\+)?json
         (?:[ \t]*;[ \t]*(?:charset="?utf-?8"?
                           |(?!charset)[!#$&^_.+0-9a-z-]+=(?:[!#$&^_.+0-9a-z/-]+|"[^"\\]*")))*""",
    re.IGNORECASE | re.VERBOSE,
)
"""JSON in UTF-8, whatever other parameters it has."""


class RequestValues:
    """The values of one request; what takes effort is done once, and only if it is asked for."""

    def __init__(
        self, segments: dict[str, bytes], *, path: str, query: bytes, fields: Fields, body: bytes
    ) -> None:
        self._segments = segments
        self.path = path
        """In its normal spelling."""
        self._query = query
        self._fields = fields
        self._body = body
        self._document: object = _UNREAD

    def __repr__(self) -> str:
        return f"<RequestValues {self.path}>"

    def value(self, variable: Variable) -> bytes:
        """The value, decoded, not empty; of the path, its normal spelling. Raises: EntityMissing."""
        match variable.source:
            case Source.SEGMENT:
                return self._segments[variable.names[0]]
            case Source.PATH:
                return self.path.encode()
            case Source.HOST:
                return _host(self._of_header(variable))
            case Source.QUERY:
                return self._of_query(variable)
            case Source.HEADER:
                return self._of_header(variable)
            case Source.JSON:
                return self._of_json(variable)

    def _of_query(self, variable: Variable) -> bytes:
        name = variable.names[0].encode()
        found = _parameters(self._query, name)
        if b";" in self._query and found != _parameters(self._query.replace(b";", b"&"), name):
            _refuse(variable, "some readers take the semicolon in the query for an &; write it %3B")
        return _only(found, variable, "the query has no such parameter", "the query has it more than once")

    def _of_header(self, variable: Variable) -> bytes:
        name = variable.names[0].lower().encode()
        if name in hop_by_hop_names(self._fields):  # the origin will not see it
            _refuse(variable, "the field belongs to the connection, by its name or since Connection names it")
        values = [value.strip(b" \t") for value in self._fields.get_all(name)]
        return _only(values, variable, "the request has no such field", "the request has it more than once")

    def _of_json(self, variable: Variable) -> bytes:
        try:
            if self._document is _UNREAD:
                self._document = self._read_json(variable)
            member = member_at(self._document, variable.names)
        except ValueError as error:
            _refuse(variable, f"the body {error}")
        try:
            return scalar_text(member).encode()
        except ValueError as error:
            _refuse(variable, f"it is {error}")

    def _read_json(self, variable: Variable) -> object:
        """Of a body that the origin will read as JSON, too: another type could make other members of it."""
        types = self._fields.get_all(b"content-type")
        if len(types) != 1 or not _JSON_TYPE.fullmatch(types[0].strip(b" \t")):
            _refuse(variable, "the body is not sent as JSON; say Content-Type: application/json")
        if self._fields.get(b"content-encoding") not in (None, b"", b"identity"):
            _refuse(
                variable, "the body is sent with a Content-Encoding, and is not decoded here; send it without"
            )
        if len(self._body) > MAX_JSON_OCTETS:
            _refuse(
                variable, f"the body has {len(self._body)} octets; of JSON at most {MAX_JSON_OCTETS} are read"
            )
        return parse_json(self._body)


_UNREAD: Final = object()


def _parameters(query: bytes, name: bytes) -> list[bytes]:
    """The values of all parameters of this name."""
    pairs = (parameter.partition(b"=") for parameter in query.split(b"&"))
    return [_of_form(value) for written, _, value in pairs if _of_form(written) == name]


def _of_form(text: bytes) -> bytes:
    return unquote_to_bytes(text.replace(b"+", b" "))


def _host(authority: bytes) -> bytes:
    """A host in one spelling: in lower case, without a port, without the dot that may end a full name."""
    host = authority.lower()
    if host.startswith(b"["):
        return host.partition(b"]")[0] + b"]"
    return host.partition(b":")[0].removesuffix(b".")


def _only(values: list[bytes], variable: Variable, absent: str, several: str) -> bytes:
    if len(values) > 1:
        _refuse(variable, several)
    if not values:
        _refuse(variable, absent)
    if not values[0]:
        _refuse(variable, "it is empty")
    return values[0]


def _refuse(variable: Variable, why: str) -> NoReturn:
    raise EntityMissing(f"what this request changes is named by {variable}: {why}")
