from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from proxy import __version__
from proxy.cli import main
from proxy.config.settings import Config
from proxy.workers.source import ConfigSource

ROOT = Path(__file__).parents[1]
RIGHT = "origins: {app: {addresses: ['http://127.0.0.1:9000']}}\nroutes: [{origin: app}]\n"


@pytest.fixture
def configuration(tmp_path: Path) -> Callable[[str], str]:
    def write(text: str) -> str:
        path = tmp_path / "f.yaml"
        path.write_text(text)
        return str(path)

    return write


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> list[Config]:
    """The configurations that were to be served; none is."""
    configs: list[Config] = []

    def serve(source: ConfigSource, *, log_level: str) -> int:
        configs.append(source.config())
        return 0

    module = ModuleType("proxy.workers.supervisor")
    module.serve = serve  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "proxy.workers.supervisor", module)
    return configs


def ended(arguments: list[str]) -> int:
    """The exit status, also where the argument parser ends the process."""
    try:
        return main(arguments)
    except SystemExit as ending:
        return int(ending.code or 0)


def test_without_arguments_help_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    out = capsys.readouterr().out
    assert "usage: lockgate" in out
    assert "lockgate serve --origin http://127.0.0.1:9000" in out


@pytest.mark.parametrize(
    ("arguments", "example"),
    [
        (["--help"], "lockgate check lockgate.yaml"),
        (["serve", "--help"], "lockgate serve --origin https://example.org --listen '[::]:8080' --admin off"),
        (["check", "--help"], "lockgate check lockgate.yaml && systemctl reload lockgate"),
        (["schema", "--help"], "lockgate schema > lockgate.schema.json"),
    ],
)
def test_help_has_examples(arguments: list[str], example: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert ended(arguments) == 0
    assert example in capsys.readouterr().out


def test_the_version_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert ended(["--version"]) == 0
    assert capsys.readouterr().out == f"lockgate {__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        pytest.param(["serv"], "there is no 'serv'; did you mean serve?", id="mistyped-command"),
        pytest.param(
            ["chekc", "x"], "there is no 'chekc'; did you mean check?", id="mistyped-command-and-file"
        ),
        pytest.param(["xyz"], "there is no 'xyz'; there are: serve, check, schema", id="unknown-command"),
        pytest.param(["check"], "the following arguments are required: FILE", id="check-what"),
        pytest.param(
            ["serve", "--orign", "http://a"],
            "does not know '--orign'; did you mean --origin?",
            id="mistyped-option",
        ),
        pytest.param(["serve", "--port=1"], "does not know '--port=1'", id="unknown-option"),
        pytest.param(
            ["serve", "--config", "a", "--origin", "b"],
            "argument --origin: not allowed with argument --config",
            id="both",
        ),
        pytest.param(["serve"], "lockgate: serve needs --origin URL, or --config FILE", id="serve-what"),
        pytest.param(
            ["serve", "--origin", "127.0.0.1:9000"],
            "did you mean http://127.0.0.1:9000?",
            id="origin-without-scheme",
        ),
        pytest.param(
            ["serve", "--origin", "http://a", "--listen", "80"],
            "lockgate: --listen is '80': write HOST:PORT, [IPV6]:PORT or unix:/path",
            id="listen-where",
        ),
        pytest.param(
            ["serve", "--origin", "http://a", "--admin", "no"],
            "lockgate: --admin is 'no': write HOST:PORT",
            id="admin",
        ),
        pytest.param(
            ["serve", "--config", "f.yaml", "--listen", "127.0.0.1:80"],
            "lockgate: --listen goes with --origin; with --config, write it under `listen` in the file",
            id="listen-beside-a-file",
        ),
        pytest.param(
            ["serve", "--origin", "http://a", "--log-level", "inof"],
            "there is no 'inof'; did you mean info?",
            id="mistyped-level",
        ),
        pytest.param(
            ["serve", "--config", "/gone.yaml"],
            "lockgate: /gone.yaml: there is no such file",
            id="file-not-there",
        ),
    ],
)
def test_a_wrong_command_line_is_told_the_fix(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str], served: list[Config]
) -> None:
    assert ended(arguments) == 2
    captured = capsys.readouterr()
    assert said in captured.err
    assert captured.out == ""
    assert not served


def test_an_origin_is_served_without_a_file(served: list[Config]) -> None:
    assert main(["serve", "--origin", "http://127.0.0.1:9000"]) == 0
    (config,) = served
    assert config.origins["origin"].addresses == ("http://127.0.0.1:9000",)
    assert config.listen[0].address == "127.0.0.1:8080"
    assert (config.admin.enabled, config.admin.address) == (True, "127.0.0.1:9901")


def test_listeners_are_chosen_on_the_command_line(served: list[Config]) -> None:
    assert main(["serve", "--origin", "http://a", "--listen", "[::1]:0", "--admin", "127.0.0.1:0"]) == 0
    assert main(["serve", "--origin", "http://a", "--admin", "off", "--log-level", "error"]) == 0
    assert (served[0].listen[0].address, served[0].admin.address) == ("[::1]:0", "127.0.0.1:0")
    assert not served[1].admin.enabled


def test_the_number_of_workers_is_chosen_on_the_command_line(served: list[Config]) -> None:
    assert main(["serve", "--origin", "http://a", "--workers", "3"]) == 0
    assert main(["serve", "--origin", "http://a", "--workers", "0"]) == 2
    assert [config.workers.count for config in served] == [3]


def test_a_file_is_served_with_the_environment(
    served: list[Config], configuration: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOCKGATE_TEST_LOOP", "asyncio")
    assert main(["serve", "--config", configuration(RIGHT + "event_loop: ${LOCKGATE_TEST_LOOP}")]) == 0
    assert served[0].event_loop == "asyncio"


def test_the_exit_status_is_that_of_serving(
    monkeypatch: pytest.MonkeyPatch, served: list[Config], configuration: Callable[[str], str]
) -> None:
    monkeypatch.setattr(sys.modules["proxy.workers.supervisor"], "serve", lambda source, log_level: 7)
    assert main(["serve", "--config", configuration(RIGHT)]) == 7


def test_check_explains_a_file_that_can_be_used(
    configuration: Callable[[str], str], capsys: pytest.CaptureFixture[str]
) -> None:
    path = configuration(RIGHT + "admin: {address: '0.0.0.0:1'}\n")
    assert main(["check", path]) == 0
    captured = capsys.readouterr()
    lines = captured.out.splitlines()
    assert lines[0] == f"{path}: OK"
    assert "  */ -> app" in lines
    assert lines[-1].startswith("warning: admin.address is 0.0.0.0:1, which others may reach")
    assert captured.err == ""


def test_check_tells_every_error_of_a_file(
    configuration: Callable[[str], str], capsys: pytest.CaptureFixture[str]
) -> None:
    path = configuration(RIGHT + "even_loop: x\nlimits: {max_fields: 0}\n")
    assert main(["check", path]) == 2
    captured = capsys.readouterr()
    assert captured.err.splitlines() == [
        "lockgate: 2 errors in the configuration:",
        f"  {path}:3:1: even_loop is not a setting; did you mean event_loop?",
        f"  {path}:4:22: limits.max_fields is 0: must be above 0",
    ]
    assert captured.out == ""


def test_the_schema_is_printed_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schema"]) == 0
    assert json.loads(capsys.readouterr().out)["title"] == "Lockgate configuration"


@pytest.mark.slow
def test_a_reader_that_stops_early_causes_no_traceback() -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "proxy", "schema"], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait() == 0


@pytest.mark.slow
def test_the_module_runs_as_the_command_does() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "proxy", "--version"], cwd=ROOT, capture_output=True, check=True
    )
    assert done.stdout.decode() == f"lockgate {__version__}\n"
