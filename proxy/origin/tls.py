"""How https origins are verified."""

from __future__ import annotations

import ssl

from proxy.config.settings import OriginTlsSettings
from proxy.errors import ConfigError


def client_context(settings: OriginTlsSettings, *, origin: str) -> ssl.SSLContext:
    """A context that checks certificate and name, unless `verify` is off.

    Raises: ConfigError if a file is missing or is not what it should be.
    """
    try:
        context = ssl.create_default_context(cafile=settings.ca_file)
    except OSError as error:  # ssl.SSLError is one
        raise ConfigError(
            f"origins.{origin}.tls.ca_file is {settings.ca_file}, which cannot be used: {error}. "
            "Name a readable PEM file with the authorities to trust."
        ) from error
    if not settings.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(["http/1.1"])
    if settings.client_certificate is not None:
        try:
            context.load_cert_chain(settings.client_certificate, settings.client_key)
        except OSError as error:
            raise ConfigError(
                f"origins.{origin}.tls.client_certificate is {settings.client_certificate}, which cannot be "
                f"used with client_key {settings.client_key}: {error}. "
                "Name readable PEM files that belong together."
            ) from error
    return context
