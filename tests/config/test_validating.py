from __future__ import annotations

import pytest

from proxy.config.loading import from_text
from proxy.errors import ConfigError
from tests.config.refusals import only_refusal, refusals, with_right

WHOLE = "write a whole number, in decimal digits, without quotes and leading zeros"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param(
            "limits: {max_feilds: 3}",
            "3:10: limits.max_feilds is not a setting; did you mean max_fields?",
            id="unknown-setting-names-the-nearest",
        ),
        pytest.param(
            "limitz: {}", "3:1: limitz is not a setting; did you mean limits?", id="unknown-section"
        ),
        pytest.param(
            "max_waiters: 5",
            "3:1: max_waiters is not a setting; it belongs to routes[].coalesce.max_waiters",
            id="setting-in-the-wrong-section",
        ),
        pytest.param(
            "admin: {port: 1}",
            "3:9: admin.port is not a setting; there are: enabled, address, token, request_rate",
            id="unknown-setting-like-none",
        ),
        pytest.param(
            "limits:\n  max-fields: 3",
            "4:3: limits.max-fields is not a setting; did you mean max_fields?",
            id="dashes-for-underscores",
        ),
        pytest.param(
            "limits: {max_fields: '3'}", f"3:22: limits.max_fields is '3': {WHOLE}", id="quoted-number"
        ),
        pytest.param("limits: {max_fields: 010}", f"3:22: limits.max_fields is '010': {WHOLE}", id="octal"),
        pytest.param(
            "limits: {max_fields: 0x1f}", f"3:22: limits.max_fields is '0x1f': {WHOLE}", id="hexadecimal"
        ),
        pytest.param(
            "limits: {max_fields: 12:30}", f"3:22: limits.max_fields is '12:30': {WHOLE}", id="sexagesimal"
        ),
        pytest.param("limits: {max_fields: 2.5}", f"3:22: limits.max_fields is 2.5: {WHOLE}", id="fraction"),
        pytest.param(
            "limits: {max_fields: true}", f"3:22: limits.max_fields is true: {WHOLE}", id="boolean-as-number"
        ),
        pytest.param(
            "limits: {max_fields: null}", f"3:22: limits.max_fields is null: {WHOLE}", id="null-as-number"
        ),
        pytest.param(
            "limits: {max_fields: 0}", "3:22: limits.max_fields is 0: must be above 0", id="too-small"
        ),
        pytest.param(
            "shutdown_timeout_s: -1s",
            "3:21: shutdown_timeout_s is '-1s': write a number of seconds, or with a unit, "
            "as 500ms, 2s, 5m, 1h, 1d",
            id="negative-duration",
        ),
        pytest.param(
            "shutdown_timeout_s: -1", "3:21: shutdown_timeout_s is -1: must be at least 0", id="below-zero"
        ),
        pytest.param(
            "limits: {max_head_bytes: 5}",
            "3:26: limits.max_head_bytes is 5: must be at least 1KiB",
            id="too-few",
        ),
        pytest.param(
            "limits: {max_line_bytes: 2MiB}",
            "3:26: limits.max_line_bytes is 2MiB: must be at most 1MiB",
            id="too-large",
        ),
        pytest.param(
            "limits: {max_line_bytes: 16MB}",
            "3:26: limits.max_line_bytes is '16MB': write 16MiB",
            id="decimal-unit",
        ),
        pytest.param(
            "limits: {head_timeout_s: 5 parsecs}",
            "3:26: limits.head_timeout_s is '5 parsecs': write a number of seconds, or with a unit, "
            "as 500ms, 2s, 5m, 1h, 1d",
            id="no-such-unit",
        ),
        pytest.param(
            "limits: {head_timeout_s: .nan}",
            "3:26: limits.head_timeout_s is '.nan': write a number of seconds, or with a unit, "
            "as 500ms, 2s, 5m, 1h, 1d",
            id="not-a-number",
        ),
        pytest.param(
            "admin: {enabled: yes}",
            "3:18: admin.enabled is 'yes': write true or false, without quotes",
            id="yes-is-no-boolean",
        ),
        pytest.param(
            "admin: {enabled: 1}",
            "3:18: admin.enabled is 1: write true or false, without quotes",
            id="one-is-none",
        ),
        pytest.param(
            "admin: {address: 5}",
            "3:18: admin.address is 5: write text; in quotes, if it looks like a number, true, false or null",
            id="number-as-text",
        ),
        pytest.param(
            "event_loop: uvlop",
            "3:13: event_loop is 'uvlop': write 'uvloop' or 'asyncio'; did you mean uvloop?",
            id="choice-names-the-nearest",
        ),
        pytest.param(
            "cache: {policy: fastest}",
            "3:17: cache.policy is 'fastest': write 'lru', 'lfu', 'fifo' or 'random'",
            id="choice-like-none",
        ),
        pytest.param("listen: []", "3:9: listen is a list: needs at least 1", id="empty-list"),
        pytest.param(
            "listen: 127.0.0.1:80",
            "3:9: listen is '127.0.0.1:80': write a list: [one, two], or a line with `- ` for each",
            id="value-for-a-list",
        ),
        pytest.param(
            "admin: 127.0.0.1:80",
            "3:8: admin is '127.0.0.1:80': "
            "write its settings below it: enabled, address, token, request_rate",
            id="value-for-a-section",
        ),
        pytest.param(
            "listen: [{address: 8080}]",
            "3:20: listen[0].address is 8080: write text; "
            "in quotes, if it looks like a number, true, false or null",
            id="place-in-a-list",
        ),
        pytest.param(
            "listen:\n  - tls: {key: /k}\n    address: unix:/s",
            "4:10: listen[0].tls.certificate is missing; add it",
            id="missing-setting",
        ),
        pytest.param(
            "cache: {max_bytes: 1MiB}",
            "3:8: cache cannot be used: cache.max_bytes is 1048576, below cache.max_entry_bytes (67108864): "
            "such an entry would never fit. Raise max_bytes or lower max_entry_bytes.",
            id="settings-that-do-not-fit-together",
        ),
    ],
)
def test_a_wrong_value_is_told_with_its_place_and_the_fix(text: str, said: str) -> None:
    assert only_refusal(with_right(text)) == f"f.yaml:{said}"


def test_a_name_that_the_user_chose_is_checked_where_it_stands() -> None:
    text = """\
        origins: {app: {addresses: ["http://a"]}}
        routes:
          - origin: app
            request_headers:
              set: {"bad name": x}
              add: {Connection: close}
        """
    assert refusals(text) == [
        "f.yaml:5:13: routes[0].request_headers.set.bad name cannot be used as a name: "
        "'bad name' is not a header field name (RFC 9110 §5.1)",
        "f.yaml:6:13: routes[0].request_headers.add.Connection cannot be used as a name: "
        "Connection belongs to the connection and is written by Lockgate; leave it out",
    ]


def test_every_error_of_a_file_is_told_in_the_order_of_the_file() -> None:
    lines = refusals(
        """\
        limits: {max_fields: many}
        origins:
          app: {}
        routes:
          - origin: ap
          - origin: app
            path: a
        even_loop: asyncio
        """
    )
    assert [line.split()[:2] for line in lines] == [
        ["f.yaml:1:22:", "limits.max_fields"],
        ["f.yaml:3:8:", "origins.app.addresses"],
        ["f.yaml:5:13:", "routes[0].origin"],
        ["f.yaml:7:11:", "routes[1].path"],
        ["f.yaml:8:1:", "even_loop"],
    ]


def test_a_list_whose_items_are_wrong_is_not_called_too_short() -> None:
    assert only_refusal(with_right("listen: [{address: x}]")).startswith(
        "f.yaml:3:20: listen[0].address is 'x'"
    )


def test_a_value_from_the_environment_is_told_with_its_variable() -> None:
    said = only_refusal(with_right("admin: {address: '${WHERE}'}"), {"WHERE": "nowhere"})
    assert said.startswith("f.yaml:3:18: admin.address is 'nowhere' (from ${WHERE}): write HOST:PORT")


def test_a_long_value_is_shortened() -> None:
    assert len(only_refusal(with_right(f"admin: {{address: {'x' * 5000}}}"))) < 300


def test_text_that_looks_like_a_yaml_1_1_boolean_or_number_stays_text() -> None:
    text = with_right("listen: [{address: 'unix:/x'}]").replace(
        "{origin: app}", "{origin: app, host: on, bypass: {cookies: [no, 0o17, 12:30]}}"
    )
    lines = refusals(text)
    assert lines == [
        "f.yaml:2:63: routes[0].bypass.cookies[2] is '12:30': '12:30' is not a cookie name (RFC 6265 §4.1.1)"
    ]
    config = from_text(text.replace(", 12:30", ""), source="f.yaml", environ={})
    assert config.routes[0].host == "on"
    assert config.routes[0].bypass.cookies == ("no", "0o17")


@pytest.mark.parametrize("written", ["s3cret", "'s3cret s3cret s3cret'", "3141592653589793", "[s3cret]"])
def test_a_token_is_never_shown(written: str) -> None:
    said = only_refusal(with_right(f"admin: {{token: {written}}}"))
    assert "admin.token cannot be used" in said
    assert "s3cret" not in said
    assert "31415" not in said


def test_a_token_from_the_environment_is_never_shown() -> None:
    text = with_right("admin:\n  token: ${TOKEN}")
    with pytest.raises(ConfigError) as refused:
        from_text(text, source="f.yaml", environ={"TOKEN": "s3cret"})
    assert "s3cret" not in str(refused.value)
    config = from_text(text, source="f.yaml", environ={"TOKEN": "s3cret" * 4})
    assert "s3cret" not in f"{config!r} {config}"
