from __future__ import annotations

import pytest
from pydantic import SecretStr

from proxy.admin.access import Denied, check_access

TOKEN = SecretStr("0123456789abcdef")


def denied(
    *,
    token: SecretStr | None = None,
    authorization: str = "",
    host: str = "127.0.0.1:9901",
    public: bool = False,
    is_file: bool = False,
) -> int:
    """The status; 0 if it is let in."""
    try:
        check_access(token=token, authorization=authorization, host=host, public=public, is_file=is_file)
    except Denied as error:
        told = str(error)
        return 0 if TOKEN.get_secret_value() in told else error.status
    return 0


@pytest.mark.parametrize(
    ("authorization", "status"),
    [
        pytest.param("Bearer 0123456789abcdef", 0, id="right"),
        pytest.param("bearer 0123456789abcdef", 0, id="scheme-in-any-case"),
        pytest.param("", 401, id="none"),
        pytest.param("Bearer 0123456789abcdeF", 401, id="wrong"),
        pytest.param("Bearer 0123456789abcde", 401, id="shorter"),
        pytest.param("Bearer ", 401, id="empty"),
        pytest.param("Basic 0123456789abcdef", 401, id="another-scheme"),
        pytest.param("Bearer \udcff", 401, id="odd-octets"),
    ],
)
@pytest.mark.parametrize("public", [True, False])
def test_with_a_token_it_must_be_brought(authorization: str, status: int, public: bool) -> None:
    assert denied(token=TOKEN, authorization=authorization, host="any.example", public=public) == status


def test_without_a_token_only_this_machine_is_served() -> None:
    assert denied(public=True) == 403
    assert denied() == 0


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:9901", 0),
        ("[::1]:9901", 0),
        ("localhost", 0),
        ("LOCALHOST:9901", 0),
        ("rebound.example:9901", 403),
        ("127.0.0.1.rebound.example", 403),
        ("", 403),
    ],
)
def test_a_page_that_has_a_name_for_this_machine_is_not_served(host: str, status: int) -> None:
    assert denied(host=host) == status
    assert denied(host=host, is_file=True) == 0
