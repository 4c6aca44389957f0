"""An origin that is never the limit: nginx, answering from its configuration on the generator's core."""

from __future__ import annotations

import os
import re
import tempfile
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from loadtest.bench.candidates import LOAD_CORE, NGINX, executable
from loadtest.processes import Server, free_port, serving

SIZES = (1024, 10 * 1024, 100 * 1024, 1024 * 1024)

_CONFIGURATION = """\
daemon off;
{user}
worker_processes 1;
worker_rlimit_nofile {open_files};
pid {directory}/nginx.pid;
error_log {directory}/error.log crit;
events {{ worker_connections 10000; }}
http {{
    access_log off;
    server_tokens off;
    keepalive_timeout 75s;
    keepalive_requests 100000000;
    default_type application/octet-stream;
    client_body_temp_path {directory}/body;
    proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/fastcgi;
    uwsgi_temp_path {directory}/uwsgi;
    scgi_temp_path {directory}/scgi;
    server {{
        listen 127.0.0.1:{port} backlog=16384;
        root {directory}/files;
        location /status {{ stub_status; }}
        location /pass/ {{ add_header Cache-Control private; etag off; alias {directory}/files/; }}
        location /expiring/ {{ add_header Cache-Control max-age=2; return 200 "{short}"; }}
        location / {{ add_header Cache-Control "public, max-age=86400"; }}
    }}
}}
"""


def body_of_size(size: int) -> bytes:
    """What the origin answers to `/SIZE`."""
    line = b"a boat waits before the gate, %08d\n" % size
    return (line * (size // len(line) + 1))[:size]


@contextmanager
def c_origin(open_files: int) -> Iterator[Server]:
    """The origin while a `with` lasts: `/SIZE` is cacheable, `/pass/SIZE` private, `/expiring/…` for 2 s."""
    shared = Path("/dev/shm")
    with tempfile.TemporaryDirectory(
        prefix="lockgate-bench-origin-", dir=shared if shared.is_dir() else None
    ) as directory:
        files = Path(directory) / "files"
        files.mkdir()
        for size in SIZES:
            (files / str(size)).write_bytes(body_of_size(size))
        port = free_port()
        configuration = Path(directory) / "nginx.conf"
        configuration.write_text(
            _CONFIGURATION.format(
                user="user root;" if os.geteuid() == 0 else "",
                directory=directory,
                port=port,
                open_files=open_files,
                short="a boat waits before the gate " * 32,
            )
        )
        command = [
            executable("nginx"),
            "-p",
            directory,
            "-c",
            str(configuration),
            "-e",
            f"{directory}/start.log",
        ]
        with serving("bench-c-origin", command, port, core=LOAD_CORE) as server:
            yield server


def requests_so_far(origin: Server) -> int:
    """How many it was asked; the questions themselves included."""
    with urllib.request.urlopen(f"{origin.url}/status", timeout=10) as answer:
        told = answer.read().decode()
    counts = re.search(r"requests\n\s*\d+ \d+ (\d+)", told)
    assert counts is not None, f"stub_status changed: {told}"
    return int(counts[1])


def is_installed() -> bool:
    """Whether there is an nginx."""
    return NGINX.version() is not None
