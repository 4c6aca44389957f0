"""Imports point towards what is purer, never back (STYLE, section 2). The table below says what is where."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

# Purest first. A module imports its own group and the layers before it, never another group of its layer.
LAYERS: dict[str, dict[str, str]] = {
    "pure": {
        "pure": """
            errors routing config.arranging config.base config.problems config.reference config.scalars
            config.schema config.settings config.shape config.tree config.units config.validating
            config.values config.write_settings http.cookies http.dates
            http.fields http.messages http.remembered http.rendering http.structured
            policy.authority policy.bypass policy.cache_control policy.cache_status policy.conditional
            policy.content_coding policy.decide
            policy.forwarding policy.freshness policy.hop_by_hop policy.invalidation policy.key_changes
            policy.key_parts policy.keys policy.multipart_ranges policy.no_vary_search policy.partial
            policy.post policy.profile policy.purge_order policy.purge_rights policy.purges policy.query
            policy.ranges policy.request_checks policy.rewriting policy.sharing policy.surrogate_keys
            policy.target_uri policy.targeted policy.terms policy.upgrades policy.validation peers.order
            peers.question peers.relay_field peers.told_request peers.word
            workers.backoff workers.coverage workers.frames workers.place workers.plain workers.portion
            workers.writes_orders writes.delivery writes.events
            writes.front.bearer_token writes.front.entities writes.front.idempotency_key
            writes.front.json_members writes.front.normal_path writes.front.prefer writes.front.principal
            writes.front.problem_document writes.front.request_values writes.front.templates
            writes.front.write_ids writes.job writes.lanes
            writes.orders writes.outcomes writes.policy writes.problem writes.states writes.statistics
            writes.write
        """,
    },
    "ports": {"ports": "clock compression.encoder origin.port writes.port"},
    "kept writes": {"kept writes": "writes.event_ring writes.live"},
    "tasks": {"tasks": "tasks"},
    "directories": {"directories": "held_directory"},
    "transports": {"transports": "transports"},
    "adapters": {
        "encoders": """
            compression.br_encoder compression.encoders compression.gzip_encoder compression.zstd_encoder
        """,
        "configuration file": "config.docs config.explaining config.loading config.reading",
        "embedded queue": """
            writes.embedded.claims writes.embedded.commits writes.embedded.database
            writes.embedded.event_log writes.embedded.health writes.embedded.home writes.embedded.jobs
            writes.embedded.journal writes.embedded.live writes.embedded.opening writes.embedded.queue
            writes.embedded.records writes.embedded.recovery writes.embedded.retention
            writes.embedded.schema writes.embedded.sealing writes.embedded.spool writes.embedded.statistics
            writes.embedded.store writes.embedded.writer
        """,
        "queue in memory": """
            writes.memory.event_log writes.memory.queue writes.memory.state writes.memory.store
        """,
        "origin": """
            origin.address origin.balancer origin.chunked origin.client origin.connection origin.connector
            origin.exchange origin.faults origin.inbox origin.pool origin.request_head origin.resolver
            origin.response_head origin.slots origin.statistics origin.tls origin.tunnel origin.upload
        """,
    },
    # One group: an entry holds the body that its flight fills, and a flight stores the entry.
    "cache and flights": {
        "cache and flights": """
            cache.admission cache.cache cache.disk_tier cache.elsewhere cache.entry cache.fences
            cache.fill_budget cache.glance cache.holds cache.hot_heads cache.key_memory cache.memory
            cache.place_index cache.purge_count cache.purging cache.recalled cache.disk.access
            cache.disk.bans cache.disk.block_file cache.disk.commits cache.disk.coverage
            cache.disk.directory cache.disk.file_body cache.disk.fill cache.disk.heads cache.disk.health
            cache.disk.index cache.disk.job_queue cache.disk.layout cache.disk.loads cache.disk.object_file
            cache.disk.place cache.disk.purge_log cache.disk.purges cache.disk.rebuild cache.disk.record
            cache.disk.shelf cache.disk.statistics cache.disk.store coalesce.answer coalesce.ask
            coalesce.body coalesce.coalescer coalesce.deadlines coalesce.flight coalesce.flights
            coalesce.herald coalesce.keeping coalesce.learning coalesce.next_step coalesce.outcomes
            coalesce.pacing coalesce.plan coalesce.refreshing coalesce.seat coalesce.representations
            coalesce.slice_memory coalesce.slice_source coalesce.sliced_answer coalesce.sliced_body
            coalesce.slicing coalesce.told coalesce.validating
        """,
    },
    "writes": {
        "writes": """
            writes.attempting writes.deferring writes.desk writes.documents writes.effects writes.ending
            writes.expiries
            writes.forwarding writes.limit writes.scheduler writes.service writes.waiting
        """,
    },
    "shells": {
        "shells": """
            __main__ admin.access admin.administered admin.allowance admin.answers admin.app admin.client
            admin.control admin.exposition admin.query admin.tables admin.writes admin.writes_tables cli
            cli_writes compression.compressor explaining metric metrics metrics_writes server.access_log
            server.binding server.certificate server.change server.client_connection server.client_transport
            server.delivery server.echo server.exchange server.folding server.gate server.gate_keeper
            server.head_lines server.head_table server.invalidating server.ledger server.likeness
            server.listener server.own_answers
            server.standing server.parser server.tunnel_inbox server.passage server.passing server.prepared
            server.proxy server.purge_method server.purger server.request_body server.response_writer
            server.run server.server server.serving server.writes.answers
            server.writes.entrance server.writes.front server.writes.kept_body server.writes.passing_on
            server.writes.home server.writes.keeping server.writes.made_write server.writes.parked_write
            server.writes.routes server.writes.showing server.writes.status server.writes.telling
            server.writes.uploads
            verdicts peers.answer peers.answering peers.delivery
            peers.door peers.link peers.neighbourhood peers.peers peers.relay peers.relay_door peers.relayed
            peers.shared_origin peers.shared_writes peers.statistics peers.worker_socket
            workers.broadcast workers.channel workers.crew workers.disks workers.greeting workers.handover
            workers.member workers.missed workers.notify workers.overseer workers.parent workers.process
            workers.sockets workers.source workers.summing workers.supervisor workers.tally workers.told
            workers.trial workers.worker workers.writes_holder
        """,
    },
}

# Flights know the origin by its port only; they are below the adapters for the sake of nothing else.
KNOW_NO_ADAPTER = "cache and flights"

STDLIB_WITHOUT_IO = frozenset(
    {
        "binascii", "calendar", "collections", "copy", "dataclasses", "datetime", "difflib", "enum",
        "fractions",
        "functools", "hashlib", "http", "ipaddress", "itertools", "json", "math", "pathlib", "re", "textwrap",
        "time", "types", "typing", "urllib", "warnings",
    }
)  # fmt: skip
LIBRARIES_WITHOUT_IO = frozenset({"http_sf", "pydantic", "pydantic_core"})
CLOCK_READINGS = frozenset(
    {"time", "time_ns", "monotonic", "monotonic_ns", "perf_counter", "sleep", "now", "utcnow", "today"}
)
ONE_LIBRARY = {"pydantic_core": "pydantic", "backports": "compression"}

RANK = {layer: rank for rank, layer in enumerate(LAYERS)}
PLACES = {
    f"proxy.{module}": (layer, group)
    for layer, groups in LAYERS.items()
    for group, modules in groups.items()
    for module in modules.split()
}


def _files() -> dict[str, Path]:
    """Every module's file by its dotted name; a package's `__init__` has the package's name."""
    found = {}
    for path in (ROOT / "proxy").rglob("*.py"):
        parts = path.relative_to(ROOT).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


FILES = _files()
PACKAGES = frozenset(name for name, path in FILES.items() if path.name == "__init__.py")


def _tree(module: str) -> ast.Module:
    return ast.parse(FILES[module].read_text(encoding="utf-8"))


def _imports(module: str) -> Iterator[str]:
    """What a module imports, wherever in it: dotted names, of modules if they are ours."""
    for node in ast.walk(_tree(module)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module} imports relatively"
            source = node.module or ""
            for alias in node.names:
                submodule = f"{source}.{alias.name}"
                yield submodule if submodule in FILES else source


def _ours(module: str) -> set[str]:
    return {name for name in _imports(module) if name.partition(".")[0] == "proxy"}


def _foreign(module: str) -> set[str]:
    tops = {name.partition(".")[0] for name in _imports(module)}
    return tops - {"proxy", "__future__"}


def _may_import(module: str, other: str) -> bool:
    if other == "proxy":  # the version
        return True
    (layer, group), (other_layer, other_group) = PLACES[module], PLACES[other]
    if layer == KNOW_NO_ADAPTER and other_layer == "adapters":
        return False
    return RANK[other_layer] < RANK[layer] or (other_layer, other_group) == (layer, group)


def test_every_module_has_its_place() -> None:
    modules = set(FILES) - PACKAGES
    assert modules - set(PLACES) == set(), "place these in LAYERS"
    assert set(PLACES) - modules == set(), "these are gone: take them out of LAYERS"


@pytest.mark.parametrize("module", sorted(PLACES))
def test_a_module_imports_only_what_is_purer_or_its_own(module: str) -> None:
    layer = PLACES[module][0]
    breaches = {f"{other} ({PLACES[other][0]})" for other in _ours(module) if not _may_import(module, other)}
    assert not breaches, f"{module} ({layer}) imports {sorted(breaches)}"


@pytest.mark.parametrize("module", sorted(name for name, place in PLACES.items() if place[0] == "pure"))
def test_a_pure_module_has_nothing_to_do_io_with(module: str) -> None:
    assert not _foreign(module) - STDLIB_WITHOUT_IO - LIBRARIES_WITHOUT_IO


@pytest.mark.parametrize("module", sorted(name for name, place in PLACES.items() if place[0] == "pure"))
def test_a_pure_module_reads_no_clock(module: str) -> None:
    clocks = {"time", "datetime", "date"}
    readings = {
        f"{node.value.id}.{node.attr}"
        for node in ast.walk(_tree(module))
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)
        if node.value.id in clocks and node.attr in CLOCK_READINGS
    }
    assert not readings
    from_time = {
        alias.name
        for node in ast.walk(_tree(module))
        if isinstance(node, ast.ImportFrom) and node.module == "time"
        for alias in node.names
    }
    assert not from_time & CLOCK_READINGS


@pytest.mark.parametrize("module", sorted(PLACES))
def test_a_module_knows_one_library_at_most(module: str) -> None:
    libraries = {ONE_LIBRARY.get(name, name) for name in _foreign(module) - sys.stdlib_module_names}
    assert len(libraries) <= 1, f"{module} imports {sorted(libraries)}"


@pytest.mark.parametrize("package", sorted(PACKAGES - {"proxy"}))
def test_a_package_imports_nothing_by_itself(package: str) -> None:
    assert not set(_imports(package)) - {"__future__"}
