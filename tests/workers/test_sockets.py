"""The listening sockets of several workers."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from proxy.config.settings import ListenSettings
from proxy.errors import ConfigError
from proxy.workers.sockets import Address, kept, opened, restored


@pytest.fixture
def close() -> Iterator[list[Address]]:
    addresses: list[Address] = []
    yield addresses
    for address in addresses:
        address.close()


def listen(*addresses: str) -> list[ListenSettings]:
    return [ListenSettings(address=address) for address in addresses]


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]"])
def test_each_slot_has_a_socket_at_the_same_port(close: list[Address], host: str) -> None:
    (address,) = opened(listen(f"{host}:0"), slots=3)
    close.append(address)
    found = [address.of_slot(slot, 3) for slot in range(3)]
    assert [len(bindings) for bindings in found] == [1, 1, 1]
    assert len({bindings[0].sock.fileno() for bindings in found}) == 3
    assert {bindings[0].address for bindings in found} == {address.shown}
    assert not address.shown.endswith(":0")


def test_connections_are_spread_over_them(close: list[Address]) -> None:
    (address,) = opened(listen("127.0.0.1:0"), slots=2)
    close.append(address)
    for binding in address.bindings:
        binding.sock.listen(64)
        binding.sock.setblocking(False)
    clients = [socket.create_connection(address.bindings[0].sock.getsockname()) for _ in range(60)]
    counts = []
    for binding in address.bindings:
        count = 0
        try:
            while True:
                binding.sock.accept()[0].close()
                count += 1
        except BlockingIOError:
            counts.append(count)
    for client in clients:
        client.close()
    assert sum(counts) == 60
    assert min(counts) > 5


def test_a_unix_socket_is_one_for_all_and_its_file_goes_with_it(tmp_path: Path) -> None:
    path = tmp_path / "s"
    (address,) = opened(listen(f"unix:{path}"), slots=3)
    assert address.of_slot(0, 3) == address.of_slot(2, 3) == address.bindings
    address.let_go()
    assert path.exists()
    address.close()
    assert not path.exists()


def test_more_slots_widen_and_fewer_share_what_is_left_over(close: list[Address]) -> None:
    first = opened(listen("127.0.0.1:0"), slots=2)
    again = opened(listen("127.0.0.1:0"), slots=5, kept=first)
    close += again
    assert again == first
    assert len(first[0].bindings) == 5
    opened(listen("127.0.0.1:0"), slots=2, kept=first)
    shares = [first[0].of_slot(slot, 2) for slot in range(2)]
    assert [len(share) for share in shares] == [3, 2]


def test_a_stranger_at_the_port_is_told_and_nothing_stays_open(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError, match="another server is there"):
            opened(listen(f"unix:{tmp_path}/s", f"127.0.0.1:{port}"), slots=2)
    assert not (tmp_path / "s").exists()


def test_a_socket_of_the_service_manager_is_taken_where_the_configuration_names_it(
    close: list[Address],
) -> None:
    passed = socket.socket()
    passed.bind(("127.0.0.1", 0))
    name = f"127.0.0.1:{passed.getsockname()[1]}"
    (address,) = opened(listen(name), slots=2, passed=[passed])
    close.append(address)
    assert address.shared
    assert address.bindings[0].sock is passed


def test_the_next_program_finds_them_as_they_were(tmp_path: Path) -> None:
    addresses = opened(listen("127.0.0.1:0", f"unix:{tmp_path}/s"), slots=2)
    found = [restored(kept(address)) for address in addresses]
    assert [address.shown for address in found] == [address.shown for address in addresses]
    assert [address.shared for address in found] == [False, True]
    for address in addresses:
        for binding in address.bindings:
            binding.sock.detach()
    for address in found:
        address.close()
    assert not (tmp_path / "s").exists()
