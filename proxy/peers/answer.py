"""The answer of a key's owner, as an answer of the origin: `proxy.origin.port.OriginResponse`."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import replace

from proxy.errors import OriginTimeout
from proxy.http.fields import Fields
from proxy.http.messages import ResponseHead
from proxy.origin.port import Framing, OriginResponse, Tunnel
from proxy.peers.word import OwnersWord, without_word

Watched = Callable[[], AbstractAsyncContextManager[object]]


class OwnersAnswer:
    """A response from the owner, less its word; `on_close` is called once."""

    __slots__ = ("_head", "_on_close", "_response", "_watched", "word")

    def __init__(
        self,
        response: OriginResponse,
        word: OwnersWord,
        *,
        watched: Watched,
        on_close: Callable[[], None],
    ) -> None:
        self.word: OwnersWord | None = word
        self._response = response
        self._watched = watched
        self._on_close: Callable[[], None] | None = on_close
        head = response.head
        self._head = replace(head, fields=Fields(without_word(tuple(head.fields))))

    def __repr__(self) -> str:
        return f"<OwnersAnswer {self._head.status} {self.word!r}>"

    @property
    def head(self) -> ResponseHead:
        return self._head

    @property
    def framing(self) -> Framing:
        """As the origin's was: among workers a body never ends with its connection, as a cut would."""
        assert self.word is not None, "the owner has spoken"
        return Framing.CLOSE if self.word.ends_with_connection else self._response.framing

    @property
    def length(self) -> int | None:
        return self._response.length

    @property
    def tunnel(self) -> Tunnel | None:
        return None

    async def read(self) -> bytes:
        try:
            async with self._watched():
                return await self._response.read()
        except TimeoutError as error:
            raise OriginTimeout("the worker that owns the key stopped in the middle of its answer") from error

    def close(self) -> None:
        on_close, self._on_close = self._on_close, None
        if on_close is not None:
            self._response.close()
            on_close()
