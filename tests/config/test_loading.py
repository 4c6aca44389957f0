from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from proxy.config.loading import for_origin, from_text, load, with_admin
from proxy.config.reading import MAX_FILE_BYTES
from proxy.errors import ConfigError
from tests.config.refusals import RIGHT, refusals

EXAMPLES = Path(__file__).parents[2] / "config"


def refusal(path: Path) -> str:
    with pytest.raises(ConfigError) as caught:
        load(path, environ={})
    return str(caught.value)


def test_a_file_is_loaded(tmp_path: Path) -> None:
    path = tmp_path / "lockgate.yaml"
    path.write_text(RIGHT)
    config = load(path, environ={})
    assert config.origins["app"].addresses == ("http://127.0.0.1:9000",)
    assert config.routes[0].origin == "app"


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    assert refusal(tmp_path / "gone.yaml") == f"{tmp_path}/gone.yaml: there is no such file"


def test_a_directory_is_refused(tmp_path: Path) -> None:
    assert refusal(tmp_path) == f"{tmp_path}: is a directory; name the YAML file in it"


def test_a_path_through_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert refusal(tmp_path / "file" / "f.yaml").endswith("f.yaml: cannot be read: Not a directory")


def test_a_name_that_no_file_can_have_is_refused() -> None:
    assert refusal(Path("a\0b")).endswith("cannot be read: embedded null byte")


@pytest.mark.parametrize(
    ("octets", "place"),
    [
        pytest.param(b"a: 1\nb: \xff\n", "2:4", id="latin-1"),
        pytest.param("a: 1\n".encode("utf-16"), "1:1", id="utf-16"),
    ],
)
def test_another_encoding_is_refused_with_its_place(tmp_path: Path, octets: bytes, place: str) -> None:
    path = tmp_path / "f.yaml"
    path.write_bytes(octets)
    assert refusal(path) == f"{path}:{place}: not UTF-8 text; save the file as UTF-8"


def test_a_giant_file_is_refused_without_being_read_whole(tmp_path: Path) -> None:
    path = tmp_path / "f.yaml"
    with path.open("wb") as file:
        file.truncate(MAX_FILE_BYTES * 10_000)  # sparse
    assert refusal(path) == f"{path}: is larger than 1024 KiB, the most that is read"


def test_an_error_names_the_file(tmp_path: Path) -> None:
    path = tmp_path / "f.yaml"
    path.write_text(RIGHT + "even_loop: x\n")
    assert refusal(path) == f"{path}:3:1: even_loop is not a setting; did you mean event_loop?"


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.yaml")), ids=lambda path: path.name)
def test_every_example_loads_without_any_environment(path: Path) -> None:
    assert load(path, environ={}).routes


def test_the_quickstart_takes_its_origin_from_the_environment() -> None:
    config = load(EXAMPLES / "quickstart.yaml", environ={"LOCKGATE_ORIGIN": "http://127.0.0.1:7"})
    assert config.origins["app"].addresses == ("http://127.0.0.1:7",)
    assert config.listen[0].address == "127.0.0.1:8080"


def test_an_origin_alone_makes_a_configuration_of_defaults() -> None:
    config = for_origin("http://127.0.0.1:9000", None)
    assert config == from_text(
        "origins: {origin: {addresses: ['http://127.0.0.1:9000']}}\nroutes: [{origin: origin}]",
        source="f.yaml",
        environ={},
    )
    assert config.listen[0].address == "127.0.0.1:8080"
    assert for_origin("unix:/run/app", "[::1]:0").listen[0].address == "[::1]:0"


@pytest.mark.parametrize(
    ("url", "listen", "said"),
    [
        pytest.param(
            "127.0.0.1:9000",
            None,
            "--origin is '127.0.0.1:9000': write http://host[:port], https://host[:port] or unix:/path; "
            "did you mean http://127.0.0.1:9000?",
            id="no-scheme",
        ),
        pytest.param(
            "ftp://a",
            None,
            "--origin is 'ftp://a': write http://host[:port], https://host[:port] or unix:/path",
            id="another-scheme",
        ),
        pytest.param(
            "http://a/b",
            None,
            "--origin is 'http://a/b': only scheme, host and port; a path belongs into the route's rewrite",
            id="a-path",
        ),
        pytest.param(
            "http://a:99999",
            None,
            "--origin is 'http://a:99999': Port out of range 0-65535",
            id="no-such-port",
        ),
        pytest.param(
            "http://a",
            "8080",
            "--listen is '8080': write HOST:PORT, [IPV6]:PORT or unix:/path",
            id="bare-port",
        ),
        pytest.param(
            "http://a",
            "::1:80",
            "--listen is '::1:80': an IPv6 address stands in brackets, as [::1]:8080",
            id="ipv6-without-brackets",
        ),
    ],
)
def test_a_wrong_option_is_told_by_its_name(url: str, listen: str | None, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        for_origin(url, listen)
    assert str(caught.value) == said


def test_the_admin_listener_is_moved_or_switched_off() -> None:
    config = for_origin("http://a", None)
    assert with_admin(config, "127.0.0.1:0").admin.address == "127.0.0.1:0"
    assert not with_admin(config, "off").admin.enabled
    assert with_admin(with_admin(config, "off"), "127.0.0.1:1").admin.enabled
    with pytest.raises(ConfigError, match=r"^--admin is 'on': write HOST:PORT"):
        with_admin(config, "on")


FRAGMENTS = st.sampled_from(
    [
        "origins", "routes", "app", "addresses", "listen", "defaults", "cache", "tls", ":", " ", "\n", "\n  ",
        "- ", "[", "]", "{", "}", ",", "&a ", "*a", "<<", "!!str ", '"', "'", "null", "5s", "1MiB", "true",
        "http://a", "${A}", "${A:-b}", "|", ">", "#", "%", "\t", "---", "...", "\x00", "é", "?", "-1",
    ]
)  # fmt: skip


@pytest.mark.slow
@example("${A}\n\norigins")
@given(st.lists(FRAGMENTS, max_size=40).map("".join))
def test_any_text_ends_with_a_configuration_or_a_config_error(text: str) -> None:
    assert all(line.startswith("f.yaml:") for line in refusals(text, {"A": "x"}))


@pytest.mark.slow
@given(
    st.sampled_from(["limits", "cache", "admin", "listen", "origins", "routes", "defaults", "event_loop"]),
    st.recursive(
        st.sampled_from(["5", "1MiB", "x", "true", "null", "''", "${A}", "-1", "0", "1e9"]),
        lambda inner: st.one_of(
            st.lists(inner, max_size=3).map(lambda items: f"[{', '.join(items)}]"),
            st.dictionaries(
                st.sampled_from(
                    [
                        "origin",
                        "path",
                        "cache",
                        "tls",
                        "set",
                        "add",
                        "grace_s",
                        "enabled",
                        "address",
                        "bypass",
                        "x",
                    ]
                ),
                inner,
                max_size=3,
            ).map(lambda table: "{" + ", ".join(f"{key}: {value}" for key, value in table.items()) + "}"),
        ),
        max_leaves=8,
    ),
)
def test_any_value_anywhere_ends_with_a_configuration_or_a_config_error(name: str, value: str) -> None:
    text = f"{RIGHT}{name}: {value}\n".replace(RIGHT, "" if name in {"origins", "routes"} else RIGHT)
    assert all(line.startswith("f.yaml:") for line in refusals(text, {"A": "x"}))
