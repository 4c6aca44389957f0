from __future__ import annotations

import socket
import stat
from pathlib import Path

import pytest

from proxy.errors import ConfigError
from proxy.server.binding import bind

ADVICE = "Choose another"


def test_port_0_takes_a_free_port_and_tells_it() -> None:
    binding = bind("127.0.0.1:0", advice=ADVICE)
    with binding.sock:
        host, _, port = binding.address.rpartition(":")
        assert (host, int(port)) == binding.sock.getsockname()
        assert int(port) > 0


def test_an_ipv6_address_is_shown_in_brackets() -> None:
    binding = bind("[::1]:0", advice=ADVICE)
    with binding.sock:
        assert binding.address.startswith("[::1]:")
        assert binding.sock.family is socket.AF_INET6


@pytest.mark.parametrize(
    ("address", "public"),
    [("127.0.0.1:0", False), ("[::1]:0", False), ("0.0.0.0:0", True), ("[::]:0", True)],
)
def test_loopback_is_not_public_everything_else_is(address: str, public: bool) -> None:
    binding = bind(address, advice=ADVICE)
    with binding.sock:
        assert binding.public is public


def test_a_port_that_is_taken_is_an_error_with_advice() -> None:
    first = bind("127.0.0.1:0", advice=ADVICE)
    with first.sock:
        first.sock.listen()
        with pytest.raises(ConfigError, match=r"cannot listen on 127.*another server.*Choose another"):
            bind(first.address, advice=ADVICE)


@pytest.mark.parametrize(
    ("address", "why"),
    [
        pytest.param("192.0.2.1:0", "no such address", id="not-ours"),
        pytest.param("unix:/missing/socket", "No such file or directory", id="no-directory"),
        pytest.param("unix:/" + "x" * 200, "too long", id="path-too-long"),
    ],
)
def test_an_address_that_cannot_be_bound_is_an_error_with_the_reason(address: str, why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        bind(address, advice=ADVICE)


def test_a_unix_socket_is_a_file_that_is_removed_in_the_end(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    binding = bind(f"unix:{path}", advice=ADVICE)
    with binding.sock:
        assert stat.S_ISSOCK(path.stat().st_mode)
        assert (binding.is_file, binding.public, binding.address) == (True, False, f"unix:{path}")
    binding.remove_file()
    binding.remove_file()

    assert not path.exists()


def test_the_socket_of_a_server_that_died_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    bind(f"unix:{path}", advice=ADVICE).sock.close()

    with bind(f"unix:{path}", advice=ADVICE).sock as sock:
        assert sock.getsockname() == str(path)


def test_the_socket_of_a_living_server_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    with bind(f"unix:{path}", advice=ADVICE).sock as living:
        living.listen()
        with pytest.raises(ConfigError, match="another server is there"):
            bind(f"unix:{path}", advice=ADVICE)
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))


def test_a_living_server_with_a_full_backlog_is_not_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    with bind(f"unix:{path}", advice=ADVICE).sock as living, socket.socket(socket.AF_UNIX) as client:
        living.listen(0)
        client.connect(str(path))
        with pytest.raises(ConfigError, match="another server is there"):
            bind(f"unix:{path}", advice=ADVICE)


def test_a_file_that_is_no_socket_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    path.write_text("precious")

    with pytest.raises(ConfigError, match="the file is no socket"):
        bind(f"unix:{path}", advice=ADVICE)
    assert path.read_text() == "precious"


def test_a_socket_that_another_server_put_there_meanwhile_is_not_removed(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    first = bind(f"unix:{path}", advice=ADVICE)
    path.rename(tmp_path / "old")  # keeps its inode from being used again
    second = bind(f"unix:{path}", advice=ADVICE)
    with first.sock, second.sock:
        first.remove_file()
        assert path.exists()
