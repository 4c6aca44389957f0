"""Who is measured: Lockgate, Varnish, nginx, and the floor; each as well set up for herds as we know.

All are unprivileged children on one core, with the cache in memory (nginx's on tmpfs), before the same
origin. nginx and Lockgate write an access log in JSON; Varnish keeps its log in shared memory as it
always does, and nobody reads it, so it has the least to do there.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from loadtest.processes import Server, lockgate_command, serving

_CORES = sorted(os.sched_getaffinity(0))
SERVER_CORE = _CORES[0]
LOAD_CORE = _CORES[-1]
"""The same as the server's on a machine with one core, where the figures mean little."""
_SHARED_MEMORY = Path("/dev/shm")


@dataclass(frozen=True, slots=True)
class Workbench:
    """What a candidate's set-up needs: where it listens, its origin, and a directory of its own."""

    port: int
    origin_port: int
    directory: Path
    open_files: int
    delay_s: float
    body_bytes: int


@dataclass(frozen=True, slots=True)
class Candidate:
    """One server to measure."""

    name: str
    version: Callable[[], str | None]
    """What is installed; None if it is not."""
    command: Callable[[Workbench], list[str]]
    """Writes its configuration and gives its command line."""


@contextmanager
def started(
    candidate: Candidate, *, port: int, origin_port: int, open_files: int, delay_s: float, body_bytes: int
) -> Iterator[Server]:
    """The candidate on the server's core for the length of a `with`."""
    parent = _SHARED_MEMORY if _SHARED_MEMORY.is_dir() else None
    with tempfile.TemporaryDirectory(prefix=f"lockgate-bench-{candidate.name}-", dir=parent) as directory:
        bench = Workbench(port, origin_port, Path(directory), open_files, delay_s, body_bytes)
        command = candidate.command(bench)
        with serving(f"bench-{candidate.name}", command, port, core=SERVER_CORE) as server:
            yield server


def _first_line(*command: str) -> str | None:
    if shutil.which(command[0], path=_search_path()) is None:
        return None
    done = subprocess.run(
        command, capture_output=True, text=True, env={**os.environ, "PATH": _search_path()}, check=False
    )
    return (done.stdout + done.stderr).strip().splitlines()[0]


def _search_path() -> str:
    # Debian puts servers into sbin, which a user's PATH lacks.
    return os.environ.get("PATH", "") + ":/usr/local/sbin:/usr/sbin:/sbin"


def executable(name: str) -> str:
    """Where it is installed."""
    found = shutil.which(name, path=_search_path())
    assert found is not None, f"{name} was found when its version was asked for"
    return found


# Lockgate

_LOCKGATE = """\
listen:
  - address: 127.0.0.1:{port}
    backlog: 16384
admin:
  enabled: false
access_log:
  path: {directory}/access.log
limits:
  max_connections: 50000
cache:
  max_bytes: 1GiB
  max_entry_bytes: 256MiB
origins:
  origin:
    addresses: [http://127.0.0.1:{origin_port}]
routes:
  - origin: origin
    coalesce:
      max_waiters: 50000
  - origin: origin
    path: /pass/
    cache:
      enabled: false
"""


def _lockgate_version() -> str | None:
    from proxy import __version__

    return f"Lockgate {__version__}"


def _lockgate(bench: Workbench) -> list[str]:
    file = bench.directory / "lockgate.yaml"
    file.write_text(
        _LOCKGATE.format(port=bench.port, origin_port=bench.origin_port, directory=bench.directory)
    )
    return lockgate_command("--config", str(file))


# nginx

_NGINX = """\
daemon off;
{user}
worker_processes 1;
worker_rlimit_nofile {open_files};
pid {directory}/nginx.pid;
error_log {directory}/error.log crit;
events {{
    worker_connections {connections};
    multi_accept on;
    use epoll;
}}
http {{
    {sending}
    tcp_nodelay on;
    keepalive_timeout 75s;
    keepalive_requests 1000000;
    reset_timedout_connection on;
    server_tokens off;
    open_file_cache max=10000 inactive=60s;
    open_file_cache_valid 60s;
    log_format json escape=json '{{"time":"$time_iso8601","client":"$remote_addr","method":"$request_method",'
        '"target":"$request_uri","status":$status,"bytes":$bytes_sent,"outcome":"$upstream_cache_status",'
        '"time_s":$request_time}}';
    access_log {directory}/access.log json buffer=64k flush=1s;
    client_body_temp_path {directory}/body;
    proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/fastcgi;
    uwsgi_temp_path {directory}/uwsgi;
    scgi_temp_path {directory}/scgi;
    proxy_cache_path {directory}/cache levels=1:2 keys_zone=herd:32m max_size=2g inactive=10m
        use_temp_path=off;
    upstream origin {{
        server 127.0.0.1:{origin_port};
        keepalive 64;
    }}
    server {{
        listen 127.0.0.1:{port} backlog=16384;
        location /pass/ {{
            proxy_pass http://origin;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
        }}
        location / {{
            proxy_pass http://origin;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_buffers 16 16k;
            proxy_buffer_size 16k;
            proxy_cache herd;
            proxy_cache_lock on;
            proxy_cache_lock_timeout 60s;
            proxy_cache_lock_age 60s;
            proxy_cache_use_stale off;
        }}
    }}
}}
"""


_SENDFILE = "sendfile on; tcp_nopush on;"
_BUFFERS = "sendfile off; output_buffers 1 256k;"
"""Copying what lies on tmpfs: up to nine times the throughput at 100 KiB, where a file sent with
`tcp_nopush` waits for the client's delayed acknowledgement."""


def _nginx_with(sending: str) -> Callable[[Workbench], list[str]]:
    return lambda bench: _nginx(bench, sending)


def _nginx(bench: Workbench, sending: str) -> list[str]:
    file = bench.directory / "nginx.conf"
    # Started by root, its worker would become nobody, who cannot read the directory.
    user = "user root;" if os.geteuid() == 0 else ""
    file.write_text(
        _NGINX.format(
            port=bench.port,
            origin_port=bench.origin_port,
            directory=bench.directory,
            open_files=bench.open_files,
            connections=min(30_000, bench.open_files),
            user=user,
            sending=sending,
        )
    )
    return [
        executable("nginx"),
        "-p",
        str(bench.directory),
        "-c",
        str(file),
        "-e",
        f"{bench.directory}/start.log",
    ]


# Varnish

_VCL = """\
vcl 4.1;
backend origin {{
    .host = "127.0.0.1";
    .port = "{origin_port}";
    .connect_timeout = 5s;
    .first_byte_timeout = 60s;
}}
sub vcl_recv {{
    unset req.http.Cookie;  # which it would pass by default
    if (req.url ~ "^/pass/") {{
        return (pass);
    }}
}}
"""

_VARNISH_PARAMETERS = {
    "thread_pools": "2",
    # Waiting requests give their threads back, and the queue must take what wakes at once: by default
    # it takes 20 and drops the rest.
    "thread_pool_min": "500",
    "thread_pool_max": "5000",
    "thread_queue_limit": "20000",
    "listen_depth": "16384",
    "timeout_idle": "75",
    # How many of those who wait each woken one wakes. 20 and 1000, one pool, and 4000 threads from the
    # start were tried: slower, or no faster, at 1,000 to 10,000 clients on one core.
    "rush_exponent": "3",
}


def _varnish_version() -> str | None:
    line = _first_line("varnishd", "-V")
    found = re.search(r"varnish-([0-9.]+)", line) if line is not None else None
    return f"Varnish {found[1]}" if found else line


def _varnish(bench: Workbench) -> list[str]:
    file = bench.directory / "herd.vcl"
    file.write_text(_VCL.format(origin_port=bench.origin_port))
    parameters = [part for name, value in _VARNISH_PARAMETERS.items() for part in ("-p", f"{name}={value}")]
    return [
        executable("varnishd"), "-F", "-j", "none", "-n", str(bench.directory / "work"),
        "-a", f"127.0.0.1:{bench.port}", "-f", str(file), "-s", "malloc,1g", *parameters,
    ]  # fmt: skip


def _nginx_version() -> str | None:
    line = _first_line("nginx", "-v")
    return line.replace("nginx version: nginx/", "nginx ") if line is not None else None


# The floor


def _floor(bench: Workbench) -> list[str]:
    import sys

    return [
        sys.executable, "-m", "loadtest.bench.floor", "--port", str(bench.port),
        "--delay", str(bench.delay_s), "--size", str(bench.body_bytes),
    ]  # fmt: skip


LOCKGATE = Candidate("lockgate", _lockgate_version, _lockgate)
VARNISH = Candidate("varnish", _varnish_version, _varnish)
NGINX = Candidate("nginx", _nginx_version, _nginx_with(_SENDFILE))
NGINX_BUFFERS = Candidate("nginx-buffers", _nginx_version, _nginx_with(_BUFFERS))
FLOOR = Candidate("floor", lambda: "floor", _floor)
