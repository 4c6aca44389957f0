"""An origin behind the owners of keys: what another worker may be asked is asked there first."""

from __future__ import annotations

from proxy.errors import NotStored
from proxy.origin.port import ForwardRequest, OnInformational, Origin, OriginResponse
from proxy.peers.peers import Peers


class SharedOrigin:
    """`proxy.origin.port.Origin`; a request with a question goes to the key's owner if there is one."""

    def __init__(self, origin: Origin, *, peers: Peers) -> None:
        self._origin = origin
        self._peers = peers

    def __repr__(self) -> str:
        return f"<SharedOrigin {self._origin!r}>"

    @property
    def name(self) -> str:
        return self._origin.name

    async def send(
        self, request: ForwardRequest, *, on_informational: OnInformational | None = None
    ) -> OriginResponse:
        question = request.question
        if question is not None:
            answer = await self._peers.ask(question, on_informational)
            if answer is not None:
                return answer
            if question.stored_only:
                raise NotStored("the owner of the key has nothing stored that may answer this")
        return await self._origin.send(request, on_informational=on_informational)
