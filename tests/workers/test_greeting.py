"""What the supervisor says when it serves."""

from __future__ import annotations

from proxy.config.settings import Config
from proxy.workers.greeting import greeting

CONFIG = Config.model_validate(
    {
        "listen": [{"address": "127.0.0.1:0"}, {"address": "unix:/run/s"}],
        "origins": {"shop": {"addresses": ["http://o:1"]}},
        "routes": [{"origin": "shop", "path": "/a"}],
    }
)


def test_it_says_where_it_listens_what_is_behind_and_with_how_much_room() -> None:
    said = greeting(
        CONFIG,
        addresses=["127.0.0.1:81", "unix:/run/s"],
        admin="127.0.0.1:82",
        workers=3,
        connections=20_000,
        files=65_536,
    )
    assert said.splitlines()[1:] == [
        "  listening  http://127.0.0.1:81",
        "  listening  unix:/run/s",
        "  workers    3",
        "  route      */a -> shop (http://o:1)",
        "  cache      256 MiB in memory, lru",
        "  log        standard output, one JSON line an exchange",
        "  admin      http://127.0.0.1:82/healthz, /metrics, /statistics",
        "  limits     20000 client connections, 65536 open files",
    ]


def test_it_says_where_files_limit_the_connections() -> None:
    said = greeting(CONFIG, addresses=["a", "b"], admin=None, workers=1, connections=10, files=20)
    assert "  note       limits.max_connections is 20000: raise the limit on open files" in said
    assert "admin" not in said
