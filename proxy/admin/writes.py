"""Queued writes by the admin listener: what waits, what ended, dead letters, paused keys, events.

    GET  /writes              ?key= &state= (again for each, or `all`) &after= &limit=
    GET  /writes/{id}
    POST /writes/{id}/cancel, /replay, /discard       with an empty object as body
    GET  /writes/dead         ?after= &limit=         dead letters
    GET  /writes/keys         ?after= &limit=         paused keys
    POST /writes/keys         {"key": "/posts/1", "do": "pause" | "resume" | "skip", "reason": "…"}
    GET  /writes/events       ?after= &limit= &wait=  the next ones behind a place, as soon as there are any

A key may hold anything, so it is never a part of a path. A place in the events is text, as each answer has it
under `after`: `0:1234,1:1250`, the last position seen of each shard. `all` stands before everything that is
kept; without a place there is only what is to come.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Awaitable, Callable
from typing import Final

from aiohttp import web

from proxy.admin.administered import Administered
from proxy.admin.answers import document_answer, ordered
from proxy.admin.query import Query, nearest, shown
from proxy.errors import ClientError
from proxy.writes.orders import (
    MAX_KEY_CHARACTERS,
    MAX_REASON_CHARACTERS,
    NOT_ENDED,
    CancelWrite,
    DiscardLetter,
    ListDeadLetters,
    ListPausedKeys,
    ListWrites,
    PauseKey,
    ReadEvents,
    ReplayWrite,
    ResumeKey,
    ShowWrite,
    SkipHead,
    WritesOrder,
)
from proxy.writes.states import State

logger = logging.getLogger(__name__)

MAX_QUERY_BYTES: Final = 128 * 1024
"""Of a request line: a place in the events of 4096 shards."""

_MAX_ID_CHARACTERS: Final = 200
_PLACE: Final = re.compile(r"([0-9]{1,6}):([0-9]{1,20})")
_SURROGATES: Final = re.compile("[\ud800-\udfff]")
_STEPS: Final[dict[str, Callable[[str], WritesOrder]]] = {
    "cancel": CancelWrite,
    "replay": ReplayWrite,
    "discard": DiscardLetter,
}

Answer = Callable[[web.Request], Awaitable[web.Response]]


class WritesControl:
    """Takes orders about writes."""

    def __init__(self, subject: Administered) -> None:
        self._subject = subject

    def routes(self, guarded: Callable[[Answer], Answer]) -> list[web.RouteDef]:
        """What the listener adds, each behind the guard."""
        return [
            web.get("/writes", guarded(self._list)),
            web.get("/writes/dead", guarded(self._dead_letters)),
            web.get("/writes/keys", guarded(self._paused_keys)),
            web.post("/writes/keys", guarded(self._order_of_key)),
            web.get("/writes/events", guarded(self._events)),
            web.get("/writes/{id}", guarded(self._show)),
            web.post("/writes/{id}/{step:cancel|replay|discard}", guarded(self._order_of_write)),
        ]

    async def _answered(self, order: WritesOrder) -> web.Response:
        return document_answer(await self._subject.writes(order))

    async def _ordered(self, request: web.Request, order: WritesOrder) -> web.Response:
        answer = await self._answered(order)
        logger.info("writes_ordered order=%r client=%s", order, request.remote)
        return answer

    async def _list(self, request: web.Request) -> web.Response:
        query = Query(request)
        order = ListWrites(
            states=_states(query.several("state")),
            key=query.one("key"),
            after=query.text("after"),
            limit=query.page(),
        )
        query.no_more()
        return await self._answered(order)

    async def _show(self, request: web.Request) -> web.Response:
        return await self._answered(ShowWrite(_id(request)))

    async def _dead_letters(self, request: web.Request) -> web.Response:
        query = Query(request)
        order = ListDeadLetters(after=query.text("after"), limit=query.page())
        query.no_more()
        return await self._answered(order)

    async def _paused_keys(self, request: web.Request) -> web.Response:
        query = Query(request)
        order = ListPausedKeys(after=query.text("after"), limit=query.page())
        query.no_more()
        return await self._answered(order)

    async def _events(self, request: web.Request) -> web.Response:
        query = Query(request)
        order = ReadEvents(_places(query.one("after")), limit=query.page(), wait_s=query.wait_s())
        query.no_more()
        page = await self._subject.writes(order)
        after = page["after"]
        assert isinstance(after, dict), "a place in the events names shards"
        text = ",".join(f"{shard}:{position}" for shard, position in after.items())
        return document_answer({**page, "after": text})

    async def _order_of_write(self, request: web.Request) -> web.Response:
        if await ordered(request) != {}:
            raise ClientError("the path says it all; send an empty object, {}")
        return await self._ordered(request, _STEPS[request.match_info["step"]](_id(request)))

    async def _order_of_key(self, request: web.Request) -> web.Response:
        return await self._ordered(request, key_order(await ordered(request)))


def key_order(document: object) -> PauseKey | ResumeKey | SkipHead:
    """The order that a JSON document gives. Raises: ClientError, with what was found and the fix."""
    if not isinstance(document, dict):
        raise ClientError('write an object, as {"key": "/posts/1", "do": "pause"}')
    for name in document:
        if name not in ("key", "do", "reason"):
            raise ClientError(f"{shown(name)} is not known; {nearest(str(name), ('key', 'do', 'reason'))}")
    key, do, reason = _key(document.get("key")), document.get("do"), document.get("reason", "")
    if not isinstance(reason, str) or len(reason) > MAX_REASON_CHARACTERS:
        raise ClientError(
            f"reason is {shown(reason)}; write text of {MAX_REASON_CHARACTERS} characters at most"
        )
    if do == "pause":
        return PauseKey(key, reason)
    if reason:
        raise ClientError("a reason goes with pause only")
    if do == "resume":
        return ResumeKey(key)
    if do == "skip":
        return SkipHead(key)
    raise ClientError(f"do is {shown(do)}; write pause, resume or skip")


def _key(key: object) -> str:
    """Raises: ClientError."""
    if not isinstance(key, str) or not 0 < len(key) <= MAX_KEY_CHARACTERS:
        raise ClientError(f"key is {shown(key)}; write text of 1 to {MAX_KEY_CHARACTERS} characters")
    if _SURROGATES.search(key):
        raise ClientError(f"key is {shown(key)}; no key holds half a surrogate pair")
    return key


def _states(names: list[str]) -> tuple[State, ...]:
    """Raises: ClientError."""
    if not names:
        return tuple(state for state in State if state in NOT_ENDED)
    if names == ["all"]:
        return tuple(State)
    known = [state.value for state in State]
    for name in names:
        if name not in known:
            raise ClientError(f"state is {shown(name)}; {nearest(name, [*known, 'all'])}")
    return tuple(State(name) for name in dict.fromkeys(names))


def _places(text: str | None) -> dict[int, int] | None:
    """Raises: ClientError."""
    if text is None:
        return None
    if text == "all":
        return {}
    found: dict[int, int] = {}
    for part in text.split(","):
        place = _PLACE.fullmatch(part)
        if place is None:
            raise ClientError(f"after is {text[:80]!r}; write SHARD:POSITION,…, as answers have it, or all")
        found[int(place[1])] = int(place[2])
    return found


def _id(request: web.Request) -> str:
    """Raises: ClientError."""
    write_id = request.match_info["id"]
    if len(write_id) > _MAX_ID_CHARACTERS:
        raise ClientError(f"the id has {len(write_id)} characters; none has more than {_MAX_ID_CHARACTERS}")
    return write_id
