from tests.scenario import World


async def test_concurrent_misses_share_one_forward_request(world: World) -> None:
    answer = world.origin.on("GET /a").hold().reply(200, b"A", cache_control="max-age=60")
    clients = world.clients(10).send("GET /a")
    await world.until(lambda: world.seats == 10)
    answer.release()
    await clients.expect(200, b"A")
    assert world.origin.asked("GET /a") == 1
