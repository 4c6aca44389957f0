"""The encoder of each content coding. Libraries that are an extra are imported when a route asks for them."""

from __future__ import annotations

from proxy.compression import gzip_encoder
from proxy.compression.encoder import Encode
from proxy.config.settings import CompressionSettings, Config, ContentCoding
from proxy.errors import ConfigError


def encoder_of(coding: ContentCoding, settings: CompressionSettings) -> Encode:
    """The encoder of this coding at the route's effort.

    Raises: ConfigError if its library is not installed.
    """
    try:
        match coding:
            case ContentCoding.GZIP:
                return gzip_encoder.encoder(settings.gzip_level)
            case ContentCoding.BR:
                from proxy.compression import br_encoder

                return br_encoder.encoder(settings.br_level)
            case ContentCoding.ZSTD:
                from proxy.compression import zstd_encoder

                return zstd_encoder.encoder(settings.zstd_level)
    except ImportError as error:
        raise ConfigError(
            f"compression.codings names {coding.value}, whose library is not installed ({error}): "
            "pip install 'lockgate[compression]', or leave it out."
        ) from error


def level_of(coding: ContentCoding, settings: CompressionSettings) -> int:
    """The route's effort for this coding."""
    levels = {
        ContentCoding.GZIP: settings.gzip_level,
        ContentCoding.BR: settings.br_level,
        ContentCoding.ZSTD: settings.zstd_level,
    }
    return levels[coding]


def check_codings(config: Config) -> None:
    """See that every coding that a route uses can be made: at the start, not at the first request.

    Raises: ConfigError, as `encoder_of`.
    """
    for route in config.routes:
        if route.compression.enabled:
            for coding in route.compression.codings:
                encoder_of(coding, route.compression)
