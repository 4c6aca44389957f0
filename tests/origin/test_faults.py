"""What libraries raise, as our errors with what to do."""

from __future__ import annotations

import socket
import ssl

import pytest

from proxy.errors import OriginConnectTimeout, OriginError, OriginUnreachable
from proxy.origin.faults import CONNECT_FAULTS, connect_fault


@pytest.mark.parametrize(
    ("raised", "ours", "text"),
    [
        (ConnectionRefusedError(111, "Connection refused"), OriginUnreachable, "is it running"),
        (ConnectionResetError(104, "reset by peer"), OriginUnreachable, "reset by peer"),
        (TimeoutError(), OriginConnectTimeout, "connect_timeout_s"),
        (socket.gaierror(-2, "Name or service not known"), OriginUnreachable, "cannot be resolved"),
        (FileNotFoundError(2, "No such file"), OriginUnreachable, "no such socket"),
        (PermissionError(13, "Permission denied"), OriginUnreachable, "mode and owner"),
        (OSError(113, "No route to host"), OriginUnreachable, "No route to host"),
        (OSError(), OriginUnreachable, "OSError"),
        (ssl.SSLError(1, "wrong version number"), OriginUnreachable, "does it speak TLS"),
    ],
)
def test_each_fault_becomes_one_of_our_errors(raised: OSError, ours: type[OriginError], text: str) -> None:
    assert isinstance(raised, CONNECT_FAULTS)
    error = connect_fault(raised, origin="shop", where="http://a")
    assert type(error) is ours
    assert str(error).startswith("origin shop at http://a: ")
    assert text in str(error)


def test_a_stranger_is_a_bug() -> None:
    with pytest.raises(AssertionError):
        connect_fault(ValueError("x"), origin="shop", where="http://a")
