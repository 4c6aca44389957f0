"""The control API under `/_stub/`: JSON in, JSON out, never cached, never counted.

GET  /_stub/counters[?path=/a]   what was asked, per path
GET  /_stub/requests             the last thousand requests, in order of arrival
GET  /_stub/entities/{id}        the log of an entity's writes and their greatest overlap
GET  /_stub/held?path=/a         requests that stand at a barrier
POST /_stub/reset                counters, orders, barriers, entities and touches; hanging requests go on
POST /_stub/fail                 {"path": "/a", "behaviour": "status=500", "times": 3}
POST /_stub/hold                 {"path": "/a", "after_bytes": 1000}; without after_bytes before the head
POST /_stub/release              {"path": "/a"}; without path all
POST /_stub/touch                {"path": "/a"}: another body, entity tag and Last-Modified from now on
POST /_stub/refuse               {"seconds": 1}: listener and connections close, then it listens again
"""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from aiohttp import web

from origin_stub.behaviour import BadBehaviour

if TYPE_CHECKING:
    from origin_stub.stub import Stub

PREFIX = "/_stub/"
_ENTITIES = "entities/"


async def control(stub: Stub, request: web.BaseRequest, path: str) -> web.Response:
    """Answer one control request; 400 says what was wrong with it."""
    name = path.removeprefix(PREFIX)
    try:
        if request.method == "GET":
            answer = _look(stub, name, request.query.get("path"))
        else:
            answer = _change(stub, request, name, await _arguments(request))
    except (BadBehaviour, KeyError, TypeError, ValueError) as error:
        return _json({"error": f"{type(error).__name__}: {error}"}, status=400)
    return _json(answer, status=404 if answer is None else 200)


def _json(answer: object, *, status: int) -> web.Response:
    return web.json_response(answer, status=status, headers={"Cache-Control": "no-store"})


async def _arguments(request: web.BaseRequest) -> dict[str, Any]:
    text = await request.text()
    arguments = json.loads(text) if text else {}
    if not isinstance(arguments, dict):
        raise TypeError("the body is a JSON object")
    return arguments


def _look(stub: Stub, name: str, path: str | None) -> object:
    counters = stub.counters()
    if name.startswith(_ENTITIES):
        return stub.entities.report(name.removeprefix(_ENTITIES))
    match name:
        case "counters":
            return counters.snapshot() if path is None else counters[path].as_values()
        case "requests":
            return [asdict(seen) for seen in counters.recent]
        case "held":
            return {"held": stub.held(path or "*")}
        case _:
            return None


def _change(stub: Stub, request: web.BaseRequest, name: str, arguments: dict[str, Any]) -> object:
    match name:
        case "reset":
            stub.reset()
        case "fail":
            stub.fail(**arguments)
        case "hold":
            stub.hold(**arguments)
        case "release":
            stub.release(**arguments)
        case "touch":
            stub.touch(**arguments)
        case "refuse":
            stub.refuse_for(float(arguments.get("seconds", 1.0)), but=request.transport)
        case _:
            return None
    return {"done": name}
