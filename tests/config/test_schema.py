from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from proxy.config.schema import DRAFT, schema
from proxy.config.settings import Config
from proxy.config.shape import sections_of
from tests.config.refusals import with_right

EXAMPLES = Path(__file__).parents[2] / "config"


def complaints(text: str) -> list[str]:
    found = Draft202012Validator(schema()).iter_errors(yaml.safe_load(text))
    return [error.message for error in found]


def test_the_schema_is_of_the_draft_that_it_names() -> None:
    assert schema()["$schema"] == DRAFT
    Draft202012Validator.check_schema(schema())


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.yaml")), ids=lambda path: path.name)
def test_every_example_fits_it(path: Path) -> None:
    assert complaints(path.read_text()) == []


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("cache: {max_bytes: 1GiB}", id="size"),
        pytest.param("limits: {head_timeout_s: 1.5s}", id="duration"),
        pytest.param("limits: {head_timeout_s: 2}", id="bare-number"),
        pytest.param("limits: {max_fields: '${N:-5}'}", id="number-from-the-environment"),
        pytest.param("admin: {enabled: '${ADMIN}'}", id="boolean-from-the-environment"),
        pytest.param("cache: {policy: '${POLICY}'}", id="choice-from-the-environment"),
        pytest.param("limits:", id="empty-section"),
        pytest.param("defaults: {cache: {lifetime_s: 1m}}", id="defaults"),
        pytest.param("listen: [{address: ':80', tls: null}]", id="null"),
    ],
)
def test_what_a_file_may_write_fits_it(text: str) -> None:
    assert complaints(with_right(text)) == []


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("cache: {max_bytes: 1GB}", id="no-such-unit"),
        pytest.param("cache: {max_bytes: 0}", id="too-small"),
        pytest.param("limits: {max_fields: '5'}", id="text-for-a-number"),
        pytest.param("limitz: {}", id="unknown-section"),
        pytest.param("defaults: {origin: app}", id="origin-in-defaults"),
        pytest.param("defaults: {cache: {lifetme_s: 1}}", id="unknown-setting-in-defaults"),
        pytest.param("event_loop: uvlop", id="no-such-choice"),
        pytest.param("listen: []", id="empty-list"),
    ],
)
def test_what_a_file_may_not_write_does_not(text: str) -> None:
    assert complaints(with_right(text)) != []


def test_every_setting_is_described() -> None:
    made: dict[str, Any] = schema()
    for _, model in sections_of(Config):
        properties = made["properties"] if model is Config else made["$defs"][model.__name__]["properties"]
        for name, found in properties.items():
            section = found.get("$ref") or found.get("anyOf", [{}])[0].get("$ref")
            assert found.get("description") or section, f"{model.__name__}.{name}"
