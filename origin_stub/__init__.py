"""An HTTP/1.1 origin to try things on: each request says in its query how it wants to be answered.

    python -m origin_stub --listen 127.0.0.1:9000 --delay 0.2
    curl 'http://127.0.0.1:9000/anything?size=10240&cc=max-age=60'

In a test it runs in the test's own event loop:

    async with origin_stub.running(behaviour="cc=max-age=60") as stub:
        ... stub.url ... stub.counters()["/a"].requests ...

The parameters are the fields of `origin_stub.behaviour.Behaviour`, the control API is in
`origin_stub.control`, and bodies can be verified with `body_of`.
"""

from origin_stub.body import body_of, body_slice
from origin_stub.counters import Counters, PathCounter
from origin_stub.stub import Stub, running

__all__ = ["Counters", "PathCounter", "Stub", "body_of", "body_slice", "running"]
