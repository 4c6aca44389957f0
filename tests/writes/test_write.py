"""What a write promises."""

from __future__ import annotations

import pytest

from proxy.writes.write import Idempotency, Mode
from tests.writes.making import make_write

KEY = Idempotency(scope="*/", key="k", fingerprint=b"f")


@pytest.mark.parametrize(
    ("mode", "idempotency", "durable"),
    [
        pytest.param(Mode.ASYNC, None, True, id="202-is-a-promise"),
        pytest.param(Mode.SYNC, None, False, id="nothing-is-promised-before-the-answer"),
        pytest.param(Mode.SYNC, KEY, True, id="a-replay-is-promised"),
    ],
)
def test_a_write_is_durable_if_something_was_promised(
    mode: Mode, idempotency: Idempotency | None, durable: bool
) -> None:
    assert make_write(mode=mode, idempotency=idempotency).durable is durable
