from __future__ import annotations

import pytest

from proxy import errors
from proxy.errors import ClientError, OriginError, ProxyError

ALL = sorted(
    (one for one in vars(errors).values() if isinstance(one, type) and issubclass(one, ProxyError)),
    key=lambda one: one.__name__,
)


@pytest.mark.parametrize("error", ALL)
def test_the_status_tells_whose_fault_it_is(error: type[ProxyError]) -> None:
    if issubclass(error, ClientError):
        assert 400 <= error.status < 500 or error.status in (501, 505)
    elif issubclass(error, OriginError):
        assert error.status in (502, 503, 504)
    assert 400 <= error.status < 600


@pytest.mark.parametrize("error", ALL)
def test_what_a_client_may_try_again_is_never_its_own_fault(error: type[ProxyError]) -> None:
    assert not (error.retryable and issubclass(error, ClientError))


@pytest.mark.parametrize("error", ALL)
def test_every_error_says_when_it_is_raised(error: type[ProxyError]) -> None:
    assert error.__doc__
