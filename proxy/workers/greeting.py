"""What the supervisor says when it serves."""

from __future__ import annotations

from collections.abc import Sequence

from proxy import __version__
from proxy.config.settings import Config


def greeting(
    config: Config, *, addresses: Sequence[str], admin: str | None, workers: int, connections: int, files: int
) -> str:
    """Where it listens, what is behind, and with how much room."""
    lines = [f"Lockgate {__version__} on {config.event_loop}"]
    for settings, address in zip(config.listen, addresses, strict=True):
        scheme = "https" if settings.tls is not None else "http"
        lines.append(f"  listening  {address if address.startswith('unix:') else f'{scheme}://{address}'}")
    lines.append(f"  workers    {workers}")
    for route in config.routes:
        origin = config.origins[route.origin]
        lines.append(
            f"  route      {route.host}{route.path} -> {route.origin} ({', '.join(origin.addresses)})"
        )
    lines.append(f"  cache      {config.cache.max_bytes // 2**20} MiB in memory, {config.cache.policy}")
    if config.access_log.enabled:
        lines.append(f"  log        {config.access_log.path or 'standard output'}, one JSON line an exchange")
    if admin is not None:
        shown = f"{admin} " if admin.startswith("unix:") else f"http://{admin}"
        lines.append(f"  admin      {shown}/healthz, /metrics, /statistics")
    lines.append(f"  limits     {connections} client connections, {files} open files")
    if connections < config.limits.max_connections:
        lines.append(
            f"  note       limits.max_connections is {config.limits.max_connections}: "
            "raise the limit on open files (ulimit -n, LimitNOFILE=) to have them"
        )
    return "\n".join(lines)
