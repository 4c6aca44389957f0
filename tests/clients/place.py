"""What the tests of the clients know of the servers."""

from __future__ import annotations

import struct
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from loadtest.processes import Server, StubControl

SECONDS = 3000
"""Of the sound that nginx has: 24 MB, more than a player fetches ahead."""

NGINX_CONFIG = """\
daemon off;
{user}
worker_processes 1;
pid {directory}/nginx.pid;
error_log {directory}/error.log;
events {{ worker_connections 256; }}
http {{
    types {{ text/html html; audio/wav wav; }}
    log_format asked '$request_method $uri $status $http_range';
    access_log {directory}/access.log asked;
    client_body_temp_path {directory}/body;
    proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/fastcgi;
    uwsgi_temp_path {directory}/uwsgi;
    scgi_temp_path {directory}/scgi;
    server {{
        listen 127.0.0.1:{port};
        root {directory}/files;
        add_header Cache-Control "max-age=600";
    }}
}}
"""


@dataclass(frozen=True, slots=True)
class Place:
    """An origin, a Lockgate before it, and what the origin logged (nginx only)."""

    origin: Server
    lockgate: Server
    log: Path | None = None

    def url(self, target: str) -> str:
        """The target at Lockgate."""
        return self.lockgate.url + target

    def taken(self, url: str) -> bytes:
        """The body that a client without a cache gets."""
        with urllib.request.urlopen(url, timeout=10) as answer:
            body: bytes = answer.read()
        return body

    def asked(self, path: str) -> int:
        """Requests for the path that reached the origin."""
        if self.log is not None:
            return sum(line.split()[1] == path for line in self.log.read_text().splitlines())
        return StubControl(self.origin.url).requests(path)

    def counted(self, path: str) -> dict[str, Any]:
        """What the stub counted of the path."""
        return StubControl(self.origin.url).counters()[path]

    def touch(self, path: str) -> None:
        """Give the path another body and entity tag at the stub."""
        StubControl(self.origin.url).post("touch", path=path)


def sound(*, seconds: int, rate: int = 8000) -> bytes:
    """A WAV file of silence: 8 bits, one channel."""
    octets = seconds * rate
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, rate, rate, 1, 8)
    head = struct.pack("<4sI4s", b"RIFF", 4 + len(form) + 8 + octets, b"WAVE")
    return head + form + struct.pack("<4sI", b"data", octets) + b"\x80" * octets
