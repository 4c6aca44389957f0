"""Header fields on their way: hop-by-hop, Via, X-Forwarded-*, Forwarded, Host, and octets as they came."""

from __future__ import annotations

import pytest

from tests.scenario import World


async def test_the_forward_request_is_exactly_this(world: World) -> None:
    world.origin.on("POST /a").reply(200)
    await world.client().send("POST /a", b"x", accept="*/*", x_thing="1").expect(200)
    assert world.origin.requests()[0].raw == (
        b"POST /a HTTP/1.1\r\n"
        b"Host: shop.example\r\n"
        b"Accept: */*\r\n"
        b"X-Thing: 1\r\n"
        b"X-Forwarded-For: 127.0.0.1\r\n"
        b"X-Forwarded-Host: shop.example\r\n"
        b"X-Forwarded-Proto: http\r\n"
        b"Forwarded: for=127.0.0.1;host=shop.example;proto=http\r\n"
        b"Via: 1.1 Lockgate\r\n"
        b"Content-Length: 1\r\n"
        b"\r\n"
    )


HOP_BY_HOP = [
    pytest.param({"connection": "x-mine", "x_mine": "1"}, ["x-mine", "connection"], id="named-by-connection"),
    pytest.param({"connection": "keep-alive", "keep_alive": "timeout=5"}, ["keep-alive"], id="keep-alive"),
    pytest.param({"proxy_connection": "keep-alive"}, ["proxy-connection"], id="proxy-connection"),
    pytest.param({"te": "trailers", "connection": "te"}, ["te"], id="te"),
    pytest.param({"trailer": "x-sum"}, ["trailer"], id="trailer"),
    pytest.param({"upgrade": "h3", "connection": "upgrade"}, ["upgrade"], id="upgrade"),
    pytest.param({"proxy_authorization": "Basic x"}, ["proxy-authorization"], id="proxy-authorization"),
]


@pytest.mark.parametrize(("fields", "dropped"), HOP_BY_HOP)
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_hop_by_hop_fields_of_a_request_are_dropped(
    world: World, fields: dict[str, str], dropped: list[str], method: str
) -> None:
    world.origin.on(f"{method} /a").reply(200)
    await world.client().send(f"{method} /a", b"" if method == "POST" else None, **fields).expect(200)
    (asked,) = world.origin.requests()
    for name in dropped:
        assert asked.field(name) is None


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_hop_by_hop_fields_of_a_response_are_dropped(world: World, method: str) -> None:
    world.origin.on(f"{method} /a").reply(
        200,
        b"A",
        cache_control="max-age=60",
        connection="x-mine",
        x_mine="1",
        keep_alive="timeout=5",
        proxy_connection="keep-alive",
        proxy_authenticate="Basic",
        x_ours="2",
    )
    for _ in range(2):
        response = (
            await world.client()
            .send(f"{method} /a", b"" if method == "POST" else None)
            .expect(200, b"A", x_ours="2")
        )
        for name in ("x-mine", "keep-alive", "proxy-connection", "proxy-authenticate", "connection"):
            assert response.field(name) is None, name


@pytest.mark.parametrize(
    "named", ["authorization", "cookie", "x-forwarded-for", "host", "via", "forwarded", "cache-control"]
)
async def test_connection_takes_nothing_away_that_is_meant_for_the_origin(world: World, named: str) -> None:
    world.origin.on("POST /a").reply(200)
    given = {"authorization": "x", "cookie": "a=b", "cache_control": "no-transform"}
    await world.client().send("POST /a", b"", connection=named, **given).expect(200)
    assert world.origin.requests()[0].field(named) is not None


CLAIMS = {
    "x_forwarded_for": "6.6.6.6",
    "x_forwarded_host": "evil.example",
    "x_forwarded_proto": "https",
    "x_forwarded_port": "666",
    "forwarded": "for=6.6.6.6",
    "x_real_ip": "6.6.6.6",
}


async def test_what_a_stranger_claims_of_its_client_is_dropped(world: World) -> None:
    world.origin.on("POST /a").reply(200)
    spelt = [(b"X_Forwarded_For", b"6.6.6.6"), (b"x-FORWARDED-for", b"6.6.6.6")]
    await world.client().send("POST /a", b"", fields=spelt, **CLAIMS).expect(200)
    (asked,) = world.origin.requests()
    assert b"6.6.6.6" not in asked.raw
    assert b"evil" not in asked.raw
    assert asked.field("x-forwarded-for") == "127.0.0.1"
    assert asked.field("x-forwarded-proto") == "http"


async def test_what_a_trusted_proxy_says_is_kept_and_extended(world: World) -> None:
    world.configure(listen={"trusted_proxies": ["127.0.0.0/8"]})
    world.origin.on("POST /a").reply(200)
    await world.client().send("POST /a", b"", **CLAIMS).expect(200)
    (asked,) = world.origin.requests()
    assert asked.field("x-forwarded-for") == "6.6.6.6, 127.0.0.1"
    assert asked.field("x-forwarded-host") == "evil.example"
    assert asked.field("x-forwarded-proto") == "https"
    assert asked.field("x-real-ip") == "6.6.6.6"
    assert asked.field("forwarded") == "for=6.6.6.6, for=127.0.0.1;host=shop.example;proto=http"


@pytest.mark.parametrize(
    ("host_header", "expected"),
    [("keep", "shop.example"), ("origin", None), ("inner.example:8080", "inner.example:8080")],
)
async def test_host_is_kept_or_replaced(world: World, host_header: str, expected: str | None) -> None:
    world.configure(route={"host_header": host_header})
    world.origin.on("GET /a").reply(200)
    await world.client().send("GET /a").expect(200)
    (asked,) = world.origin.requests()
    assert asked.field("host") == (expected or f"127.0.0.1:{world.origin.port}")
    assert asked.field("x-forwarded-host") == "shop.example"


async def test_an_http_1_0_request_without_host_has_one_at_the_origin(world: World) -> None:
    world.configure(route={"host_header": "origin"})
    world.origin.on("GET /a").reply(200)
    await world.client().send("GET /a", version="1.0", host=None).expect(200)
    (asked,) = world.origin.requests()
    assert asked.field("host") == f"127.0.0.1:{world.origin.port}"
    assert asked.field("via") == "1.0 Lockgate"


OCTETS = [
    pytest.param(b"caf\xe9", id="latin-1"),
    pytest.param("naïve".encode(), id="utf-8"),
    pytest.param(bytes(range(0x80, 0x100)), id="obs-text"),
    pytest.param(b"a\tb  c", id="tab-and-spaces"),
    pytest.param(bytes(range(0x21, 0x7F)), id="all-visible"),
]


@pytest.mark.parametrize("value", OCTETS)
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_octets_of_field_values_pass_as_they_are(world: World, value: bytes, method: str) -> None:
    rule = world.origin.on(f"{method} /a")
    rule.answer(
        lambda asked: asked.reply(
            200,
            asked.fields.get(b"x-octets") or b"",
            fields=[(b"X-Octets", value)],
            cache_control="max-age=60",
        )
    )
    body = b"" if method == "POST" else None
    for _ in range(2):
        response = await world.client().send(f"{method} /a", body, fields=[(b"X-Octets", value)]).expect(200)
        assert response.body == value
        assert response.fields.get(b"x-octets") == value


async def test_the_case_of_names_and_the_order_of_lines_stay(world: World) -> None:
    lines = [(b"x-LOUD", b"1"), (b"Zed", b"2"), (b"x-loud", b"3"), (b"Alpha", b"4")]
    world.origin.on("POST /a").reply(200, b"A", fields=lines)
    response = await world.client().send("POST /a", b"", fields=lines).expect(200)
    assert [pair for pair in world.origin.requests()[0].fields if pair in lines] == lines
    assert [pair for pair in response.fields if pair in lines] == lines


async def test_an_empty_field_value_passes(world: World) -> None:
    world.origin.on("POST /a").reply(200, fields=[(b"X-Empty", b"")])
    await world.client().send("POST /a", b"", fields=[(b"X-None", b"")]).expect(200, x_empty="")
    assert world.origin.requests()[0].field("x-none") == ""


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        pytest.param({"x_long": "v" * 8000}, 200, id="long-field"),
        pytest.param({"x_long": "v" * 8300}, 431, id="too-long-field"),
        pytest.param({f"x_{number}": "v" for number in range(90)}, 200, id="many-fields"),
        pytest.param({f"x_{number}": "v" for number in range(101)}, 431, id="too-many-fields"),
        pytest.param({f"x_{number}": "v" * 7000 for number in range(9)}, 200, id="large-head"),
        pytest.param({f"x_{number}": "v" * 7000 for number in range(10)}, 431, id="too-large-head"),
    ],
)
async def test_a_head_near_its_limits(world: World, fields: dict[str, str], status: int) -> None:
    world.origin.on("POST /a").reply(200)
    client = world.client().send("POST /a", b"", **fields)
    await client.expect(status)
    if status == 431:
        await client.closed()
        assert world.origin.asked() == 0
    else:
        asked = world.origin.requests()[0]
        for name, value in fields.items():
            assert asked.field(name.replace("_", "-")) == value


@pytest.mark.parametrize(("size", "status"), [(8100, 200), (8300, 414)])
async def test_a_target_near_its_limit(world: World, size: int, status: int) -> None:
    target = "/" + "t" * size
    world.origin.on(f"GET {target}").reply(200)
    await world.client().send(f"GET {target}").expect(status)


@pytest.mark.parametrize(("count", "status"), [(200, 200), (300, 502)])
async def test_a_response_head_near_its_limit(world: World, count: int, status: int) -> None:
    fields = [(b"X-%d" % number, b"v" * 100) for number in range(count)]
    world.origin.on("POST /a").reply(200, b"A", fields=fields)
    response = await world.client().send("POST /a", b"").expect(status)
    if status == 200:
        assert [pair for pair in response.fields if pair in fields] == fields
