"""Lockgate does not start on aiohttp's parser in Python."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from aiohttp import http_parser

from proxy.errors import ConfigError
from proxy.server.parser import require_c_parser


def test_the_c_parser_is_accepted() -> None:
    require_c_parser()


def test_the_parser_in_python_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_parser, "HttpRequestParser", http_parser.HttpRequestParserPy)
    with pytest.raises(ConfigError, match="AIOHTTP_NO_EXTENSIONS"):
        require_c_parser()


@pytest.mark.slow
def test_serve_says_what_to_do_and_ends() -> None:
    command = [sys.executable, "-m", "proxy", "serve", "--origin", "http://127.0.0.1:9"]
    ended = subprocess.run(
        [*command, "--listen", "127.0.0.1:0", "--admin", "off"],
        env={**os.environ, "AIOHTTP_NO_EXTENSIONS": "1"},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert ended.returncode == 2
    assert "Unset AIOHTTP_NO_EXTENSIONS" in ended.stderr
    assert "Traceback" not in ended.stderr
