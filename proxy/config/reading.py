"""YAML text to a tree of values with their places.

Built from the parser's events, not by PyYAML's constructors: nothing is ever instantiated from a tag,
duplicate keys are seen, and depth, size and the expansion of aliases are bounded while reading.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from proxy.config.problems import FILE_START, Mark, Problems
from proxy.config.scalars import resolved, with_environment
from proxy.config.tree import Listing, Node, Plain, Scalar, Table, inner_path, moved, size_of

MAX_FILE_BYTES = 1 << 20
_MAX_DEPTH = 32
_MAX_VALUES = 50_000  # aliases counted as often as they are used
_AN_EMPTY_FILE = (
    "the file is empty; the least it needs is origins and routes "
    "(or use `lockgate serve --origin URL`, without a file)"
)


class _Refused(Exception):
    """The text cannot be read further."""

    def __init__(self, mark: Mark, path: str, text: str) -> None:
        self.problem = (mark, path, text)


@dataclass(slots=True)
class _Frame:
    """A list or mapping whose end has not come; `key` is the one that waits for its value."""

    event: yaml.Event
    path: str
    anchor: str | None
    items: list[Node] = field(default_factory=list)
    entries: dict[str, Node] = field(default_factory=dict)
    keys: dict[str, Mark] = field(default_factory=dict)
    key: str | None = None

    @property
    def is_mapping(self) -> bool:
        return isinstance(self.event, yaml.MappingStartEvent)

    @property
    def wants_key(self) -> bool:
        return self.is_mapping and self.key is None

    def next_path(self) -> str:
        return inner_path(self.path, len(self.items) if self.key is None else self.key)

    def node(self) -> Node:
        mark = _mark(self.event.start_mark)
        if self.is_mapping:
            return Table(mark, self.path, self.entries, self.keys)
        return Listing(mark, self.path, tuple(self.items))


def _mark(mark: Any) -> Mark:
    """PyYAML counts from 0."""
    return FILE_START if mark is None else Mark(mark.line + 1, mark.column + 1)


class _Builder:
    """Takes the events of one document, in order; `root` is its tree at the end."""

    def __init__(self, problems: Problems, environ: Mapping[str, str]) -> None:
        self._problems = problems
        self._environ = environ
        self._stack: list[_Frame] = []
        self._anchors: dict[str, Node] = {}
        self._values = 0
        self.root: Node | None = None

    def take(self, event: yaml.Event) -> None:
        match event:
            case yaml.ScalarEvent():
                self._take_scalar(event)
            case yaml.SequenceStartEvent() | yaml.MappingStartEvent():
                self._open(event)
            case yaml.SequenceEndEvent() | yaml.MappingEndEvent():
                frame = self._stack.pop()
                self._put(frame.node(), frame.anchor)
            case yaml.AliasEvent():
                self._take_alias(event)
            case yaml.DocumentStartEvent() if self.root is not None:
                raise _Refused(_mark(event.start_mark), "", "a second document begins here; a file holds one")

    def _next_path(self) -> str:
        return self._stack[-1].next_path() if self._stack else ""

    def _take_scalar(self, event: yaml.ScalarEvent) -> None:
        if self._stack and self._stack[-1].wants_key:
            self._take_key(event)
            return
        mark, path = _mark(event.start_mark), self._next_path()
        self._refuse_tag(event, path)
        is_plain = event.style is None
        value: Plain = event.value
        try:
            text = with_environment(event.value, self._environ)
            text.encode()  # an escape such as "\ud800" makes text that no encoding knows
            value = resolved(text) if is_plain else text
        except UnicodeEncodeError:
            self._problems.add(mark, path, "holds half of a surrogate pair; write the character itself")
            value = ""
        except ValueError as error:
            self._problems.add(mark, path, str(error))
        self._put(Scalar(mark, path, value, event.value), event.anchor)

    def _take_key(self, event: yaml.ScalarEvent) -> None:
        frame, mark, key = self._stack[-1], _mark(event.start_mark), event.value
        path = inner_path(frame.path, key)
        self._refuse_tag(event, path)
        if key == "<<" and event.style is None:
            raise _Refused(
                mark,
                path,
                "is a merge key, which is not read; what routes have in common goes under `defaults`",
            )
        if key in frame.keys:
            first = frame.keys[key]
            self._problems.add(
                mark, path, f"is set twice, first in line {first.line}; the second would hide it: remove one"
            )
        frame.key = key
        frame.keys.setdefault(key, mark)

    def _open(self, event: yaml.CollectionStartEvent) -> None:
        mark = _mark(event.start_mark)
        if self._stack and self._stack[-1].wants_key:
            raise _Refused(
                mark, self._stack[-1].path, "has a list or mapping as a key; quote the key if it is text"
            )
        path = self._next_path()
        self._refuse_tag(event, path)
        if len(self._stack) >= _MAX_DEPTH:
            raise _Refused(mark, "", f"the file is nested deeper than {_MAX_DEPTH} levels; no setting is")
        self._stack.append(_Frame(event, path, event.anchor))

    def _take_alias(self, event: yaml.AliasEvent) -> None:
        mark, path, name = _mark(event.start_mark), self._next_path(), str(event.anchor)
        if self._stack and self._stack[-1].wants_key:
            raise _Refused(
                mark, self._stack[-1].path, f"has the alias *{name} as a key; write the key itself"
            )
        target = self._anchors.get(name)
        if target is None:
            raise _Refused(mark, path, f"uses *{name}, but no complete value before it is marked &{name}")
        self._count(size_of(target), mark)
        self._put(moved(target, path), None)

    def _put(self, node: Node, anchor: str | None) -> None:
        self._count(1, node.mark)
        if anchor is not None:
            self._anchors[anchor] = node
        if not self._stack:
            self.root = node
            return
        frame = self._stack[-1]
        if frame.key is None:
            frame.items.append(node)
        else:
            frame.entries.setdefault(frame.key, node)
            frame.key = None

    def _count(self, values: int, mark: Mark) -> None:
        self._values += values
        if self._values > _MAX_VALUES:
            raise _Refused(
                mark, "", f"the file holds more than {_MAX_VALUES} values, each use of an alias counted"
            )

    def _refuse_tag(self, event: yaml.ScalarEvent | yaml.CollectionStartEvent, path: str) -> None:
        if event.tag is not None:
            self._problems.add(
                _mark(event.start_mark),
                path,
                f"has the tag {event.tag}; tags are not read: quote text instead",
            )


def read_tree(text: str, *, problems: Problems, environ: Mapping[str, str]) -> Table | None:
    """The tree of a whole file; None if it is no mapping at all, which is then among the problems."""
    builder = _Builder(problems, environ)
    try:
        for event in _events(text):
            builder.take(event)
    except _Refused as refused:
        problems.add(*refused.problem)
        return None
    except yaml.MarkedYAMLError as error:
        problems.add(_mark(error.problem_mark or error.context_mark), "", _syntax(error, text))
        return None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        column = error.position - text.rfind("\n", 0, error.position)
        problems.add(Mark(line, column), "", f"the character U+{error.character:04X} is not allowed")
        return None
    root = builder.root
    if isinstance(root, Table):
        return root
    if root is None or (isinstance(root, Scalar) and root.value is None):
        problems.add(FILE_START, "", _AN_EMPTY_FILE)
    else:
        problems.add(root.mark, "", f"the file is {root.shown()}; write settings as `name: value`")
    return None


def _events(text: str) -> Iterator[yaml.Event]:
    events: Iterator[yaml.Event] = yaml.parse(text, Loader=yaml.SafeLoader)
    return events


def _syntax(error: yaml.MarkedYAMLError, text: str) -> str:
    """What the parser says, and the likely fix."""
    said = " ".join(part for part in (error.context, error.problem) if part)
    mark = error.problem_mark
    lines = text.splitlines()
    line = lines[mark.line] if mark is not None and mark.line < len(lines) else ""
    if "\t" in line[: len(line) - len(line.lstrip())]:
        return f"not YAML: {said}; indent with spaces, not tabs"
    if "${" in line:
        return f'not YAML: {said}; inside [ ] and {{ }}, and before a colon, quote it: "${{NAME}}"'
    if "mapping values are not allowed" in said:
        return f"not YAML: {said}; quote a value that holds `: `, or check the indentation"
    return f"not YAML: {said}"
