"""One table: what the library raised, which error of ours that is, and what to do about it."""

from __future__ import annotations

import socket
import ssl

from proxy.errors import OriginConnectTimeout, OriginError, OriginUnreachable

_TABLE: tuple[tuple[type[BaseException], type[OriginError], str], ...] = (
    (
        ssl.SSLCertVerificationError,
        OriginUnreachable,
        "its certificate is not trusted ({error}); set tls.ca_file to its authority, "
        "or tls.server_name to the name it is made for",
    ),
    (ssl.SSLError, OriginUnreachable, "the TLS handshake failed ({error}); does it speak TLS on this port?"),
    (
        ssl.CertificateError,
        OriginUnreachable,
        "its certificate is for another name ({error}); set tls.server_name",
    ),
    (
        TimeoutError,
        OriginConnectTimeout,
        "no connection within connect_timeout_s; is it up, and is the port open?",
    ),
    (ConnectionRefusedError, OriginUnreachable, "it refused the connection; is it running?"),
    (ConnectionResetError, OriginUnreachable, "it closed the connection before it was ready ({error})"),
    (
        socket.gaierror,
        OriginUnreachable,
        "its name cannot be resolved ({error}); check the name and the resolver",
    ),
    (FileNotFoundError, OriginUnreachable, "there is no such socket; is it running?"),
    (PermissionError, OriginUnreachable, "access is denied ({error}); check the socket's mode and owner"),
    (OSError, OriginUnreachable, "it cannot be reached ({error})"),
)

CONNECT_FAULTS = (OSError, ssl.CertificateError)
"""What connecting may raise; TimeoutError and ssl.SSLError are among OSError."""


def connect_fault(error: BaseException, *, origin: str, where: object) -> OriginError:
    """Our error for a connection that was not made; the first row that fits wins."""
    for raised, ours, text in _TABLE:
        if isinstance(error, raised):
            return ours(f"origin {origin} at {where}: {text.format(error=_shown(error))}")
    raise AssertionError(f"no row for {error!r}") from error


def _shown(error: BaseException) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return error.verify_message
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) or type(error).__name__
