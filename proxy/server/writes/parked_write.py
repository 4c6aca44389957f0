"""A client that waits for the end of its write without a task.

    taken in ──► parked ──told──► answered, or a task passes on a body that goes on
                    ├──its time is over──► answered
                    └──its client leaves──► left

The usual write has one task of its own while it is at the origin. A second one, which only waits for that,
costs a quarter of the whole way through the proxy. What comes here waits for nothing but the end: its body
was here with its head, it is in sync mode, and no Idempotency-Key is to be claimed. All else takes
`WriteFront.answer`; what is decided is the same.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from proxy.server.exchange import Exchange
from proxy.server.writes.home import WritesHome
from proxy.server.writes.routes import WriteRoute
from proxy.server.writes.telling import Telling
from proxy.writes.waiting import Ending
from proxy.writes.write import Write


class ParkedWrite:
    """Waits from now on. `on_end` is called once: when it is told, or its time is over."""

    __slots__ = ("_ending", "_exchange", "_home", "_on_end", "_route", "_telling", "_timer", "_write")

    def __init__(
        self,
        exchange: Exchange,
        route: WriteRoute,
        write: Write,
        *,
        home: WritesHome,
        telling: Telling,
        on_end: Callable[[], None],
    ) -> None:
        self._exchange = exchange
        self._route = route
        self._write = write
        self._home: WritesHome | None = home
        self._telling = telling
        self._on_end: Callable[[], None] | None = on_end
        self._ending: Ending | None = None
        patience_s = telling.patience_s(route, write)
        self._timer = asyncio.get_running_loop().call_later(patience_s, self._wake)
        home.come_in()
        home.writes.join(write.id, self)

    def __repr__(self) -> str:
        return f"<ParkedWrite {self._write.id} told={self._ending is not None}>"

    # from those who tell ends

    def done(self) -> bool:
        """Whether it knows, or has given up."""
        return self._on_end is None

    def set_result(self, ending: Ending) -> None:
        """It ended."""
        self._ending = ending
        self._wake()

    def _wake(self) -> None:
        on_end, self._on_end = self._on_end, None
        if on_end is not None:
            on_end()

    # from the exchange

    def answer_at_once(self) -> bool:
        """Tell the client; False where a body goes on, for which `answer` is. Raises: ClientGone."""
        return self._telling.at_once(self._exchange, self._route, self._write, self._ending)

    async def answer(self) -> None:
        """The answer whose body goes on. Raises: ClientGone; OriginError in the middle of it."""
        ending, self._ending = self._ending, None
        assert ending is not None, "it is told before"
        await self._telling.body_goes_on(self._exchange, self._route, ending)

    def client_gone(self) -> None:
        """Nobody is there any more to be told."""
        if self._on_end is not None:
            self._telling.left(self._route, self._write)

    def leave(self) -> None:
        """The exchange is over. Idempotent."""
        home, self._home = self._home, None
        if home is None:
            return
        self._on_end = None
        self._timer.cancel()
        home.writes.leave(self._write.id, self)
        home.go_out()
        if self._ending is not None and self._ending.rest is not None:
            self._ending.rest.close()
