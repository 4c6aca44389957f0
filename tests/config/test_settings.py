from __future__ import annotations

import pytest
from pydantic import ValidationError

from proxy.config.settings import (
    Config,
    OriginSettings,
    RewriteSettings,
    RouteCacheSettings,
    RouteSettings,
)
from proxy.config.shape import sections_of, settings_of

APP = OriginSettings(addresses=("http://127.0.0.1:9000",))


def test_every_setting_has_a_sentence() -> None:
    for path, model in sections_of(Config):
        assert model.__doc__, path
        for name, field in model.model_fields.items():
            assert field.description, f"{path}.{name}"
            assert field.description.endswith("."), f"{path}.{name}"


def test_every_setting_that_counts_seconds_or_bytes_says_so_in_its_name() -> None:
    for path, model in sections_of(Config):
        for name in settings_of(model):
            told = name.endswith(("_s", "_bytes"))
            assert told or "timeout" not in name or name == "on_wait_timeout", f"{path}.{name}"


def test_a_configuration_cannot_be_changed() -> None:
    config = Config(origins={"app": APP}, routes=(RouteSettings(origin="app"),))
    with pytest.raises(ValidationError, match="frozen"):
        config.event_loop = "asyncio"  # type: ignore[misc]


def test_a_configuration_made_in_code_is_held_to_the_same_rules() -> None:
    with pytest.raises(
        ValidationError, match=r"routes\[0\].origin is 'ap', which is not under origins \(app\)"
    ):
        Config(origins={"app": APP}, routes=(RouteSettings(origin="ap"),))
    with pytest.raises(ValidationError, match=r"routes\[1\] and routes\[0\] both match host '\*', path '/'"):
        Config(origins={"app": APP}, routes=(RouteSettings(origin="app"),) * 2)


def test_a_slice_that_could_not_be_stored_is_refused() -> None:
    sliced = {"partial": "slices", "slice_bytes": 3 << 20}
    settings = {
        "origins": {"app": APP},
        "routes": [{"origin": "app", "cache": sliced}],
        "cache": {"max_entry_bytes": 2 << 20},
    }
    with pytest.raises(ValidationError, match=r"routes\[0\].cache.slice_bytes is 3145728, above cache.max"):
        Config.model_validate(settings)
    Config.model_validate(settings | {"routes": [{"origin": "app", "cache": sliced | {"partial": "whole"}}]})


@pytest.mark.parametrize(
    ("pattern", "replacement", "said"),
    [
        ("/a", None, "go together"),
        (None, "/a", "go together"),
        ("/a", r"/\1", "replacement does not fit pattern: invalid group reference 1"),
        ("/a", r"/\g<x>", "replacement does not fit pattern: unknown group name 'x'"),
    ],
)
def test_a_replacement_fits_its_pattern(pattern: str | None, replacement: str | None, said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        RewriteSettings(pattern=pattern, replacement=replacement)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("lifetime_s", 60.0),
        ("negative_lifetimes_s", {"404": 5.0}),
        ("share_lifetime_zero", True),
        ("honour_no_cache", False),
    ],
)
def test_the_strict_profile_takes_no_option_that_departs_from_the_rfc(name: str, value: object) -> None:
    RouteCacheSettings.model_validate({name: value})
    with pytest.raises(ValidationError, match=f"strict-rfc and {name} contradict"):
        RouteCacheSettings.model_validate({"profile": "strict-rfc", name: value})


def test_no_key_holds_a_cookie_that_the_origin_never_sees() -> None:
    with pytest.raises(ValidationError, match="keeps from the origin"):
        RouteSettings.model_validate({"origin": "app", "cookies": "strip", "key": {"cookies": ["lang"]}})


def test_a_number_without_end_is_no_duration() -> None:
    with pytest.raises(ValidationError, match="finite"):
        Config(origins={"app": APP}, routes=(RouteSettings(origin="app"),), shutdown_timeout_s=float("inf"))
