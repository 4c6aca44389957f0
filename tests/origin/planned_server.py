"""A plan of answers played over a scripted origin, so that the contract runs over sockets too."""

from __future__ import annotations

import asyncio

from proxy.http.fields import Fields
from proxy.http.messages import ResponseHead
from proxy.origin.port import Framing
from tests.origin.planned import Answer, Asked, Plan
from tests.origin.scripted import Peer, ScriptedOrigin

_FRAMING = (b"content-length", b"transfer-encoding", b"connection", b"upgrade", b"expect")


class PlannedServer:
    """Serves each connection of a scripted origin by the plan."""

    def __init__(self, origin: ScriptedOrigin, plan: Plan) -> None:
        self._origin = origin
        self._plan = plan
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self) -> None:
        """Begin to accept."""
        self._spawn(self._accept_all())

    async def stop(self) -> None:
        """End every connection."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _spawn(self, coroutine: object) -> None:
        self._tasks.add(asyncio.get_running_loop().create_task(coroutine))  # type: ignore[arg-type]

    async def _accept_all(self) -> None:
        while True:
            self._spawn(self._serve(await self._origin._waiting.get()))

    async def _serve(self, peer: Peer) -> None:
        while not peer.ended:
            try:
                head = await peer.expect_head()
            except AssertionError:
                return  # the proxy has closed
            method, target, fields = _taken_apart(head)
            answer = self._plan.next_for(target)
            body = b"" if answer.early else await _body(peer, head)
            self._plan.asked.append(Asked(method, target, fields, body))
            if not await self._answer(peer, method, answer):
                return

    async def _answer(self, peer: Peer, method: str, answer: Answer) -> bool:
        """Play it; whether the connection goes on."""
        for interim in answer.interim:
            peer.send(_written(interim))
        if answer.head_gate is not None:
            await answer.head_gate.passed()
        if answer.cut_at == -1:
            peer.cut()
            return False
        peer.send(_written(answer.head(method)))
        if answer.upgrade is not None:
            await _echo(peer)
            return False
        if not answer.has_body(method):
            return True
        await _send_body(peer, answer)
        if answer.cut_at is not None or answer.framing is Framing.CLOSE:
            peer.cut()
            return False
        return True


async def _send_body(peer: Peer, answer: Answer) -> None:
    body = answer.body if answer.cut_at is None else answer.body[: answer.cut_at]
    if answer.body_gate is not None:
        _send_content(peer, answer, body[: answer.gate_at])
        await answer.body_gate.passed()
        body = body[answer.gate_at :]
    _send_content(peer, answer, body)
    if answer.framing is Framing.CHUNKED and answer.cut_at is None:
        peer.send(b"0\r\n\r\n")


def _send_content(peer: Peer, answer: Answer, content: bytes) -> None:
    if content and answer.framing is Framing.CHUNKED:
        peer.send(b"%x\r\n%b\r\n" % (len(content), content))
    elif content:
        peer.send(content)


async def _echo(peer: Peer) -> None:
    while not peer.ended:
        if peer.pending:
            octets = peer.pending
            await peer.expect(octets)
            peer.send(octets.upper())
        peer._changed.clear()
        await peer._changed.wait()
    peer.cut()


async def _body(peer: Peer, head: bytes) -> bytes:
    # The head goes back in front, so that one reader knows both framings.
    peer._received[:0] = head
    return (await peer.expect_request())[1]


def _taken_apart(head: bytes) -> tuple[str, bytes, Fields]:
    lines = head[:-4].split(b"\r\n")
    method, target, _ = lines[0].split(b" ")
    pairs = [(name, value) for name, value in (line.split(b": ", 1) for line in lines[1:])]
    return method.decode(), target, Fields(pairs).without(_FRAMING)


def _written(head: ResponseHead) -> bytes:
    lines = b"".join(b"%b: %b\r\n" % pair for pair in head.fields)
    return b"HTTP/1.1 %d %b\r\n%b\r\n" % (head.status, head.reason, lines)
