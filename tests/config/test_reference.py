from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

from proxy.config.docs import REFERENCE_FILE
from proxy.config.loading import from_text, load
from proxy.config.reference import reference_file
from proxy.config.settings import Config, OriginSettings, RouteSettings
from proxy.config.shape import sections_of

PATH = Path(__file__).parents[2] / REFERENCE_FILE


def test_the_reference_file_is_up_to_date() -> None:
    assert PATH.read_text() == reference_file(), "run python -m proxy.config.docs"


def test_the_reference_file_has_every_setting_of_every_section() -> None:
    expected = Counter(name for _, model in sections_of(Config) for name in model.model_fields)
    found = Counter(re.findall(r"^[# ]*(?:- )?([a-z0-9_]+):(?: |$)", PATH.read_text(), re.MULTILINE))
    del found["app"]  # the name of an origin
    for name in ("tls", "disk", "principal", "writes", "journal"):
        found[name] -= 1  # once absent, once commented out
    assert found == expected


def test_the_reference_file_holds_the_defaults() -> None:
    assert load(PATH, environ={}) == Config(
        origins={"app": OriginSettings(addresses=("http://127.0.0.1:9000",))},
        routes=(RouteSettings(origin="app"),),
    )


def with_sections(text: str) -> str:
    """The text with each section that stands there as `name: null` and commented out below taken in."""
    absent = re.compile(r"^( *)([a-z_]+): null\n(\1# \2:\n(?:\1#   .*\n)+)", re.MULTILINE)
    while found := absent.search(text):
        section = re.sub(rf"^{found[1]}# ", found[1], found[3], flags=re.MULTILINE)
        text = text[: found.start()] + section + text[found.end() :]
    return text


def test_what_is_commented_out_loads_too() -> None:
    text = re.sub(r"^ *# (?:header|cookie): .*\n", "", PATH.read_text(), flags=re.MULTILINE)
    text = with_sections(text).replace("claim: null", "claim: sub")
    config = from_text(text, source="f.yaml", environ={})
    tls, disk, journal = config.listen[0].tls, config.cache.disk, config.writes.journal
    assert tls is not None
    assert tls.check_interval_s == 10.0
    assert disk is not None
    assert disk.retry_after_s == 30.0
    assert journal is not None
    assert journal.shards == 64
    writes = config.routes[0].writes
    assert writes is not None
    assert writes.retry_methods["POST"].max_attempts == 5
