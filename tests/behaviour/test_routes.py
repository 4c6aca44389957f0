"""Several routes, rewriting, rules for fields, bypass."""

from __future__ import annotations

import pytest

from tests.scenario import World


async def test_requests_take_the_most_specific_route(world: World) -> None:
    images = await world.another_origin("images")
    world.configure(
        routes=[
            {"origin": "shop"},
            {"origin": "images", "path": "/img"},
            {"origin": "images", "host": "*.cdn.example"},
            {"origin": "shop", "host": "api.cdn.example", "path": "/v1"},
        ]
    )
    cases = [
        ("shop.example", "/a", world.origin),
        ("shop.example", "/img/a", images),
        ("shop.example", "/imgx", world.origin),
        ("x.cdn.example", "/a", images),
        ("api.cdn.example", "/v1/x", world.origin),
        ("api.cdn.example", "/v2", images),
    ]
    for host, path, origin in cases:
        origin.on(f"GET {path}", host=host).reply(200, origin.name.encode())
        await world.client().send(f"GET {path}", host=host).expect(200, origin.name.encode())


async def test_no_route_is_a_404_of_our_own(world: World) -> None:
    world.configure(routes=[{"origin": "shop", "host": "shop.example", "path": "/only"}])
    await world.client().send("GET /a").expect(404)
    await world.client().send("GET /only", host="other.example").expect(404)
    world.origin.on("GET /only").reply(200)
    await world.client().send("GET /only").expect(200)


async def test_two_routes_never_share_an_entry(world: World) -> None:
    images = await world.another_origin("images")
    world.configure(
        routes=[
            {"origin": "shop", "path": "/a", "rewrite": {"strip_prefix": "/a"}},
            {"origin": "images", "path": "/b", "rewrite": {"strip_prefix": "/b"}},
        ]
    )
    world.origin.on("GET /x").reply(200, b"shop", cache_control="max-age=60")
    images.on("GET /x").reply(200, b"images", cache_control="max-age=60")
    for _ in range(2):
        await world.client().send("GET /a/x").expect(200, b"shop")
        await world.client().send("GET /b/x").expect(200, b"images")
    assert world.origin.asked() == images.asked() == 1


@pytest.mark.parametrize(
    ("rewrite", "target", "asked"),
    [
        ({"strip_prefix": "/app"}, "/app/a?x=1", "/a?x=1"),
        ({"strip_prefix": "/app"}, "/app", "/"),
        ({"strip_prefix": "/app"}, "/apple", "/apple"),
        ({"add_prefix": "/v2"}, "/a", "/v2/a"),
        ({"strip_prefix": "/app", "add_prefix": "/v2"}, "/app/a%2Fb", "/v2/a%2Fb"),
        ({"pattern": r"/u/(\d+)/(.*)", "replacement": r"/\2/by/\1"}, "/u/7/x?q", "/x/by/7?q"),
        ({"pattern": r"/u/(\d+)", "replacement": r"/\1"}, "/other", "/other"),
    ],
)
async def test_a_path_is_rewritten_and_the_query_stays(
    world: World, rewrite: dict[str, str], target: str, asked: str
) -> None:
    world.configure(route={"rewrite": rewrite})
    world.origin.on(f"GET {asked}").reply(200, b"A", cache_control="max-age=60")
    for _ in range(2):
        await world.client().send(f"GET {target}").expect(200, b"A")


async def test_fields_are_added_set_and_removed_on_both_legs(world: World) -> None:
    world.configure(
        route={
            "request_headers": {"add": {"X-Edge": "1"}, "set": {"X-Set": "ours"}, "remove": ["X-Secret"]},
            "response_headers": {
                "add": {"X-Out": "2"},
                "set": {"Server": "edge"},
                "remove": ["X-Powered-By"],
            },
        }
    )
    world.origin.on("GET /a").reply(
        200, b"A", cache_control="max-age=60", server="php", x_powered_by="php", x_out="1"
    )
    for _ in range(2):
        response = (
            await world.client()
            .send("GET /a", x_set="theirs", x_secret="s", x_edge="0")
            .expect(200, b"A", server="edge", x_powered_by=None)
        )
        assert response.fields.get_all(b"x-out") == (b"1", b"2")
    (asked,) = world.origin.requests()
    assert asked.fields.get_all(b"x-edge") == (b"0", b"1")
    assert asked.fields.get_all(b"x-set") == (b"ours",)
    assert asked.field("x-secret") is None


@pytest.mark.parametrize(
    ("bypass", "request_"),
    [
        ({"methods": ["GET"]}, {}),
        ({"paths": ["^/a"]}, {}),
        ({"headers": {"X-Debug": "^1$"}}, {"x_debug": "1"}),
        ({"cookies": ["session"]}, {"cookie": "a=b; session=1"}),
    ],
    ids=["method", "path", "header", "cookie"],
)
async def test_what_is_bypassed_is_neither_stored_nor_waited_for(
    world: World, bypass: dict[str, object], request_: dict[str, str]
) -> None:
    world.configure(route={"bypass": bypass})
    rule = world.origin.on("GET /a").hold().reply(200, b"A", cache_control="max-age=60")
    clients = world.clients(3).send("GET /a", **request_)
    await world.until(lambda: rule.held == 3)
    rule.release()
    for response in await clients.expect(200, b"A"):
        assert response.cache_status["fwd"] == "bypass"
    assert world.entries == 0
    assert world.outcomes() == {"passed": 3}


async def test_what_is_not_bypassed_is_shared(world: World) -> None:
    world.configure(route={"bypass": {"cookies": ["session"], "headers": {"X-Debug": "^1$"}}})
    world.origin.on("GET /a").reply(200, b"A", cache_control="max-age=60")
    for fields in ({"cookie": "sessions=1"}, {"x_debug": "11"}, {}):
        await world.client().send("GET /a", **fields).expect(200, b"A")
    assert world.origin.asked() == 1


async def test_requests_go_to_the_address_with_the_fewest_outstanding_and_a_backup_takes_over(
    world: World,
) -> None:
    second = await world.another_origin("second")
    world.configure(origin={"addresses": [world.origin.url, second.url], "retry": False})
    held = [origin.on("GET /a").hold().reply(200, origin.name.encode()) for origin in (world.origin, second)]
    clients = world.clients(4).send("GET /a", authorization="x")
    await world.until(lambda: [rule.held for rule in held] == [2, 2])
    for rule in held:
        rule.release()
    await clients.expect(200)
    second.refuse()
    world.origin.on("GET /b").reply(200, b"B")
    for _ in range(4):
        await world.client().send("GET /b", authorization="x").expect(200, b"B")
