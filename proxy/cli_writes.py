"""`lockgate writes`: see and steer the queued writes of a running Lockgate."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final
from urllib.parse import quote

from proxy.admin.client import AdminClient, AskFailed
from proxy.admin.writes_tables import dead_lines, done_lines, paused_lines, write_lines, writes_lines

OPTIONS: Final = ("--key", "--state", "--limit", "--reason", "--after", "--wait")

EXAMPLES: Final = """\
examples:
  lockgate writes list                          what waits or is at an origin
  lockgate writes list --key /posts/1           of one entity, in the order of the ids
  lockgate writes list --state dead --state unknown
  lockgate writes show 0123456789
  lockgate writes pause /posts/1 --reason 'the table is locked'
  lockgate writes paused                        which keys stand, and why
  lockgate writes resume /posts/1
  lockgate writes dead                          what was given up and waits for you
  lockgate writes replay 0123456789             send such a one again, behind what waits
  lockgate writes events --after all | jq .id   the end of every write, and then as they come

`lockgate writes COMMAND --help` tells more of each. The exit status is 0 when it is done, 1 when it was
refused or nobody answered, 2 for wrong use."""

_PAGE: Final = 200
_LONGEST_WAIT_S: Final = 25.0
"""Of one question; below what the listener allows, and what proxies and balancers cut."""
_PATIENCE_S: Final = 30.0
"""How long a reader of events asks again while it is refused, or nobody answers: a worker takes the place of
another meanwhile, or the whole is started again."""
_ASK_AGAIN_S: Final = 1.0


class _Commands:
    """Adds the subcommands, each with the options that all have which ask."""

    def __init__(self, commands: Any, add_asking: Callable[[argparse.ArgumentParser], None]) -> None:
        self._commands = commands
        self._add_asking = add_asking

    def add(self, name: str, sentence: str, *arguments: tuple[str, str], about: str = "") -> Any:
        """One, with the arguments that stand in its line."""
        command = self._commands.add_parser(
            name,
            help=sentence,
            description=f"{sentence[0].upper()}{sentence[1:]}." + (f" {about}" if about else ""),
            allow_abbrev=False,
        )
        for argument, told in arguments:
            command.add_argument(argument, metavar=argument.upper(), help=told)
        self._add_asking(command)
        return command


def add_writes(
    parser: argparse.ArgumentParser, *, add_asking: Callable[[argparse.ArgumentParser], None]
) -> None:
    """Add the subcommands of `writes`."""
    commands = _Commands(
        parser.add_subparsers(dest="writes_command", metavar="COMMAND", title="commands", required=True),
        add_asking,
    )
    key = ("key", "the entity key, as `list` shows it")
    write = ("id", "the id of the write, as `list` shows it")
    letter = ("id", "the id of the dead letter, as `dead` shows it")
    listing = commands.add("list", "list writes, by default those that have not ended")
    listing.add_argument("--key", metavar="KEY", help="of this entity only")
    listing.add_argument(
        "--state", metavar="STATE", action="append", default=[], help="in this state, or all; may be repeated"
    )
    _add_limit(listing)
    commands.add("show", "tell all that is known of one write", write)
    pause = commands.add(
        "pause", "start nothing of an entity until it is resumed", key, about="What runs, runs on."
    )
    pause.add_argument("--reason", metavar="TEXT", default="", help="what `paused` tells to others")
    _add_limit(commands.add("paused", "list entities of which nothing is started, and why"))
    commands.add("resume", "go on with an entity", key)
    commands.add(
        "skip",
        "give up the first write of an entity",
        key,
        about="It becomes a dead letter, the next one has its turn. What is at the origin is not skipped.",
    )
    commands.add("cancel", "take back a write that was never sent", write)
    _add_limit(commands.add("dead", "list dead letters: writes that were given up"))
    commands.add(
        "replay",
        "take a dead letter in again",
        letter,
        about="It is a new write behind those that wait, with the Idempotency-Key that it had.",
    )
    commands.add("discard", "drop a dead letter that was seen to", letter)
    _add_events(commands)


def _add_limit(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--limit", metavar="N", type=_positive, default=100, help="list so many (default: %(default)s)"
    )


def _add_events(commands: _Commands) -> None:
    events = commands.add(
        "events",
        "follow the ends of writes, one line of JSON each",
        about="Where events are missing, a line tells the gap. `--after` goes on where a reader has stopped.",
    )
    events.add_argument(
        "--after",
        metavar="PLACE",
        help="all for everything that is kept, or SHARD:POSITION,… as events have them (default: now)",
    )
    events.add_argument("--limit", metavar="N", type=_positive, help="end after so many (default: never)")
    events.add_argument(
        "--wait", metavar="SECONDS", type=_seconds, help="end when nothing came for so long (default: never)"
    )


def _positive(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 0 < int(text) < 10**9):
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 1 on")
    return int(text)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 < seconds < 10**9:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds above 0")
    return seconds


def answered(options: argparse.Namespace, client: AdminClient) -> Iterator[str]:
    """What is printed, line by line; events as they come. Raises: AskFailed."""
    if options.writes_command == "events":
        yield from _events(client, after=options.after, limit=options.limit, wait_s=options.wait)
        return
    answer = _ANSWERS[options.writes_command](options, client)
    if options.json:
        yield json.dumps(answer, indent=2)
        return
    yield from _lines(options.writes_command, answer)


def _lines(command: str, answer: dict[str, Any]) -> Sequence[str]:
    match command:
        case "list":
            left = ["some that were left from before are not at their lanes yet; ask again in a moment"]
            lines = [*writes_lines(answer["writes"], now=time.time()), *_more(answer)]
            return [*lines, *left] if answer["recovering"] else lines
        case "show":
            return write_lines(answer)
        case "dead":
            return [*dead_lines(answer["dead_letters"], now=time.time()), *_more(answer)]
        case "paused":
            return [*paused_lines(answer["keys"]), *_more(answer)]
        case _:
            return done_lines(answer)


def _more(answer: dict[str, Any]) -> list[str]:
    return [] if answer["next"] is None else ["there may be more: raise --limit"]


# asking


def _list(options: argparse.Namespace, client: AdminClient) -> dict[str, Any]:
    query = [("state", state) for state in options.state]
    if options.key is not None:
        query.append(("key", options.key))
    return _pages(client, "/writes", query, name="writes", limit=options.limit)


def _pages(
    client: AdminClient, path: str, query: list[tuple[str, str]], *, name: str, limit: int
) -> dict[str, Any]:
    """So many of what is listed there, asked for page by page."""
    found: list[Any] = []
    after: str | None = None
    first: dict[str, Any] = {}
    while True:
        size = min(_PAGE, limit - len(found))
        asked = [*query, ("limit", str(size)), *([] if after is None else [("after", after)])]
        page = client.ask_writes(path, asked)
        found += page[name]
        first = first or page
        after = page["next"]
        if after is None or len(found) >= limit:
            return {**first, name: found, "next": after}


def _order_of_key(options: argparse.Namespace, client: AdminClient) -> dict[str, Any]:
    order = {"key": options.key, "do": options.writes_command}
    if options.writes_command == "pause" and options.reason:
        order["reason"] = options.reason
    return client.order_writes("/writes/keys", order)


def _order_of_write(options: argparse.Namespace, client: AdminClient) -> dict[str, Any]:
    return client.order_writes(f"/writes/{_quoted(options.id)}/{options.writes_command}", {})


_ANSWERS: Final[dict[str, Callable[[argparse.Namespace, AdminClient], dict[str, Any]]]] = {
    "list": _list,
    "show": lambda options, client: client.ask_writes(f"/writes/{_quoted(options.id)}", []),
    "dead": lambda options, client: _pages(
        client, "/writes/dead", [], name="dead_letters", limit=options.limit
    ),
    "paused": lambda options, client: _pages(client, "/writes/keys", [], name="keys", limit=options.limit),
    "pause": _order_of_key,
    "resume": _order_of_key,
    "skip": _order_of_key,
    "cancel": _order_of_write,
    "replay": _order_of_write,
    "discard": _order_of_write,
}


def _quoted(write_id: str) -> str:
    return quote(write_id, safe="", errors="surrogateescape")


def _events(
    client: AdminClient, *, after: str | None, limit: int | None, wait_s: float | None
) -> Iterator[str]:
    """Until so many came, or none for so long. Refused in between, it asks again for a while."""
    left = limit
    begun = False
    heard_mono = answered_mono = time.monotonic()
    while left is None or left > 0:
        idle_s = time.monotonic() - heard_mono
        if begun and wait_s is not None and idle_s >= wait_s:
            return
        longest_s = _LONGEST_WAIT_S if wait_s is None else min(_LONGEST_WAIT_S, max(0.0, wait_s - idle_s))
        size = _PAGE if left is None else min(_PAGE, left)
        try:
            page = client.ask_writes("/writes/events", _events_query(after, size, longest_s))
        except AskFailed as error:
            if not begun or not error.again or time.monotonic() - answered_mono > _PATIENCE_S:
                place = "" if after is None else f"; go on with --after {after}"
                raise AskFailed(f"{error}{place}") from None
            time.sleep(_ASK_AGAIN_S)
            continue
        begun, after, answered_mono = True, page["after"], time.monotonic()
        for event in page["events"]:
            heard_mono = answered_mono
            yield json.dumps(event, separators=(",", ":"))
        left = None if left is None else left - len(page["events"])


def _events_query(after: str | None, limit: int, wait_s: float) -> list[tuple[str, str]]:
    query = [("limit", str(limit)), ("wait", f"{wait_s:.3f}")]
    return query if after is None else [*query, ("after", after)]
