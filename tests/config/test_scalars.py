from __future__ import annotations

import pytest

from proxy.config.scalars import resolved, with_environment
from proxy.config.tree import Plain
from tests.config.refusals import only_refusal, with_right

ENVIRON = {"NAME": "value", "EMPTY": "", "PORT": "9000", "DOLLAR": "${NAME}"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("${NAME}", "value", id="variable"),
        pytest.param("http://127.0.0.1:${PORT}/", "http://127.0.0.1:9000/", id="variable-inside-text"),
        pytest.param("${PORT}${NAME}", "9000value", id="two-variables"),
        pytest.param("${GONE:-other}", "other", id="default-for-an-unset-one"),
        pytest.param("${EMPTY:-other}", "other", id="default-for-an-empty-one"),
        pytest.param("${NAME:-other}", "value", id="default-not-needed"),
        pytest.param("${GONE:-}", "", id="empty-default"),
        pytest.param("${GONE:-http://a:1}", "http://a:1", id="default-with-colons"),
        pytest.param("${EMPTY}", "", id="empty-variable"),
        pytest.param("$${NAME}", "${NAME}", id="escaped"),
        pytest.param("a$$b", "a$b", id="escaped-dollar"),
        pytest.param(r"\.m3u8$", r"\.m3u8$", id="dollar-of-a-regular-expression"),
        pytest.param("$NAME", "$NAME", id="no-braces-no-variable"),
        pytest.param("${DOLLAR}", "${NAME}", id="a-value-is-not-read-again"),
    ],
)
def test_the_environment_is_put_in(text: str, expected: str) -> None:
    assert with_environment(text, ENVIRON) == expected


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param(
            "${GONE}",
            "f.yaml:3:13: event_loop needs the environment variable GONE, which is not set: "
            "set it, or write ${GONE:-default}",
            id="unset",
        ),
        pytest.param(
            "${A B}",
            "f.yaml:3:13: event_loop '${A B}' is not ${NAME} or ${NAME:-default}; "
            "write $${ for the characters ${",
            id="no-name",
        ),
        pytest.param(
            "${A",
            "f.yaml:3:13: event_loop '${' is not ${NAME} or ${NAME:-default}; "
            "write $${ for the characters ${",
            id="not-closed",
        ),
    ],
)
def test_a_variable_that_cannot_be_put_in_is_told_with_its_place(text: str, said: str) -> None:
    assert only_refusal(with_right(f"event_loop: {text}")) == said


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", None),
        ("~", None),
        ("null", None),
        ("true", True),
        ("False", False),
        ("0", 0),
        ("-17", -17),
        ("+5", 5),
        ("2.5", 2.5),
        (".5", 0.5),
        ("1e3", 1000.0),
        ("yes", "yes"),
        ("on", "on"),
        ("n", "n"),
        ("010", "010"),
        ("0o17", "0o17"),
        ("0x1F", "0x1F"),
        ("1_000", "1_000"),
        ("12:30", "12:30"),
        ("2026-01-31", "2026-01-31"),
        (".inf", ".inf"),
        (".nan", ".nan"),
        ("1e999", "1e999"),
        ("9" * 5000, "9" * 5000),
        ("=", "="),
    ],
)
def test_a_plain_scalar_is_read_by_the_core_schema_with_decimal_numbers(text: str, expected: Plain) -> None:
    found = resolved(text)
    assert (found, type(found)) == (expected, type(expected))


def test_a_variable_in_a_plain_scalar_has_the_type_of_its_value() -> None:
    from proxy.config.loading import from_text

    text = with_right("limits: {max_fields: '7', idle_timeout_s: 1}").replace("'7'", '"${N}"')
    assert "max_fields is '7' (from ${N})" in only_refusal(text, {"N": "7"})  # quotes make it text
    plain = with_right("limits:\n  max_fields: ${N}\n  idle_timeout_s: ${T}\nevent_loop: asyncio\n")
    config = from_text(plain, source="f.yaml", environ={"N": "7", "T": "2m"})
    assert (config.limits.max_fields, config.limits.idle_timeout_s) == (7, 120.0)
