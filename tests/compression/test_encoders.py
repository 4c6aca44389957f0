"""What an encoder makes, an independent decoder reads."""

from __future__ import annotations

import gzip
import sys
from collections.abc import Callable

import brotli
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.compression.encoders import check_codings, encoder_of, level_of
from proxy.config.settings import CompressionSettings, Config, ContentCoding
from proxy.errors import ConfigError

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

DECODERS: dict[ContentCoding, Callable[[bytes], bytes]] = {
    ContentCoding.GZIP: gzip.decompress,
    ContentCoding.BR: brotli.decompress,
    ContentCoding.ZSTD: zstd.decompress,
}
SETTINGS = CompressionSettings()
TEXT = b"a boat waits before the gate, and the gate opens for all of them. " * 200


@pytest.mark.slow
@pytest.mark.parametrize("coding", ContentCoding)
@given(pieces=st.lists(st.binary(max_size=200), max_size=5))
def test_a_decoder_gives_the_body_back(coding: ContentCoding, pieces: list[bytes]) -> None:
    coded = b"".join(encoder_of(coding, SETTINGS)(pieces))
    assert DECODERS[coding](coded) == b"".join(pieces)


@pytest.mark.parametrize("coding", ContentCoding)
def test_text_shrinks_and_the_same_octets_come_of_it_each_time(coding: ContentCoding) -> None:
    one, other = (b"".join(encoder_of(coding, SETTINGS)([TEXT])) for _ in range(2))
    assert one == other, "one strong tag stands for it"
    assert len(one) < len(TEXT) // 20


@pytest.mark.parametrize("coding", ContentCoding)
@pytest.mark.parametrize("effort", ["least", "most"])
def test_every_effort_that_can_be_set_works(coding: ContentCoding, effort: str) -> None:
    bounds = {ContentCoding.GZIP: (1, 9), ContentCoding.BR: (0, 11), ContentCoding.ZSTD: (1, 19)}
    level = bounds[coding][effort == "most"]
    settings = CompressionSettings.model_validate(
        {f"{'br' if coding == 'br' else coding.value}_level": level}
    )
    assert level_of(coding, settings) == level
    assert DECODERS[coding](b"".join(encoder_of(coding, settings)([TEXT[:2000]]))) == TEXT[:2000]


def test_a_zstd_window_is_one_that_clients_provide() -> None:
    coded = b"".join(encoder_of(ContentCoding.ZSTD, CompressionSettings(zstd_level=19))([TEXT]))
    exponent, mantissa = coded[5] >> 3, coded[5] & 7  # RFC 8878 §3.1.1.1.2
    assert not coded[4] & 0x20, "a frame of one segment has another header"
    assert (1 << (10 + exponent)) * (1 + mantissa / 8) <= 8 * 1024 * 1024


def config(codings: list[str], *, enabled: bool = True) -> Config:
    return Config.model_validate(
        {
            "origins": {"app": {"addresses": ["http://127.0.0.1:9000"]}},
            "routes": [{"origin": "app", "compression": {"enabled": enabled, "codings": codings}}],
        }
    )


LIBRARIES = {"br": "brotli", "zstd": zstd.__name__}


@pytest.mark.parametrize("coding", LIBRARIES)
def test_a_missing_library_is_told_at_the_start_with_its_extra(
    coding: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    check_codings(config([coding, "gzip"]))
    package, _, name = LIBRARIES[coding].rpartition(".")
    monkeypatch.setitem(sys.modules, LIBRARIES[coding], None)
    if package:
        monkeypatch.delattr(sys.modules[package], name)
    monkeypatch.delitem(sys.modules, f"proxy.compression.{coding}_encoder")
    monkeypatch.delattr(f"proxy.compression.{coding}_encoder")
    with pytest.raises(ConfigError, match=rf"names {coding}.*lockgate\[compression\]"):
        check_codings(config([coding, "gzip"]))
    check_codings(config([coding], enabled=False))
    check_codings(config(["gzip"]))
