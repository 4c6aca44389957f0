"""The command line: `lockgate serve`, `check`, `schema`; `purge`, `explain`, `writes` ask a running one."""

from __future__ import annotations

import argparse
import contextlib
import difflib
import json
import logging
import os
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NoReturn

from proxy import __version__, cli_writes
from proxy.admin.client import AdminClient, AskFailed
from proxy.admin.tables import explanation_lines, purge_lines
from proxy.config.explaining import explained, warnings_of
from proxy.config.loading import DEFAULT_LISTEN, checked_address, load
from proxy.config.schema import schema
from proxy.config.settings import AdminSettings
from proxy.errors import ConfigError
from proxy.workers.source import ConfigSource

_EXIT_USAGE = 2
_EXIT_REFUSED = 1
_OPTIONS = (
    "--config", "--origin", "--listen", "--admin", "--workers", "--log-level", "--help", "--version",
    "--url", "--tag", "--prefix", "--pattern", "--everything", "--soft", "--token",
    "--header", "--method", "--json", *cli_writes.OPTIONS,
)  # fmt: skip
_TOKEN_VARIABLE = "LOCKGATE_ADMIN_TOKEN"

_ABOUT = """\
Lockgate stands before an HTTP origin and caches what it answers. When a crowd asks for
something that is not there yet, one request goes to the origin and all are answered from
it as it arrives."""

_EXAMPLES = """\
examples:
  lockgate serve --origin http://127.0.0.1:9000     run before one origin, without a file
  lockgate serve --config lockgate.yaml             run with a configuration
  lockgate check lockgate.yaml                      tell what is wrong in it, or what it will do
  lockgate schema > lockgate.schema.json            for editors that complete YAML
  lockgate purge --tag shoes                        take out of a running cache what has this tag
  lockgate explain https://example.org/a            tell why that is a hit, or is not
  lockgate writes list                              tell which writes wait, and for what"""

_SERVE_EXAMPLES = f"""\
examples:
  lockgate serve --origin http://127.0.0.1:9000
      listens on {DEFAULT_LISTEN}, health and metrics on 127.0.0.1:9901
  lockgate serve --origin https://example.org --listen '[::]:8080' --admin off
  lockgate serve --config config/quickstart.yaml --log-level debug

SIGTERM and SIGINT drain: no new connections, running exchanges end within
shutdown_timeout_s, then the exit status is 0. SIGHUP uses the configuration as it
is now, SIGUSR2 the version that is installed now; neither fails a request."""

_CHECK_EXAMPLES = """\
examples:
  lockgate check lockgate.yaml
  lockgate check lockgate.yaml && systemctl reload lockgate

Every error is told with file, line, column, setting, value and what is allowed.
The exit status is 0 if the file can be used, 2 if not. Warnings do not change it."""

_SCHEMA_EXAMPLES = """\
example:
  lockgate schema > lockgate.schema.json

In an editor with the YAML language server, the first line of the configuration is then
  # yaml-language-server: $schema=lockgate.schema.json"""

_PURGE_EXAMPLES = f"""\
examples:
  lockgate purge --url https://example.org/a
  lockgate purge --tag shoes hats --soft
  lockgate purge --prefix https://example.org/img/
  lockgate purge --pattern '\\.(png|jpe?g)$'
  lockgate purge --everything --soft

http and https count as one. --prefix goes by the URLs that clients ask for; --pattern is searched in the URL
as the origin is asked for it, which `lockgate explain` shows. --soft makes stale what else is removed: with
grace it is served on while one request fetches it anew. The token is read from {_TOKEN_VARIABLE}, if --token
is not given. The exit status is 0 when it is done, 1 when it was refused or nobody answered, 2 for wrong
use."""

_EXPLAIN_EXAMPLES = """\
examples:
  lockgate explain https://example.org/a
  lockgate explain https://example.org/a -H 'Accept-Encoding: gzip' -H 'Cookie: id=1'
  lockgate explain https://example.org/a --json | jq .stored

Nothing happens by it: no request is sent to an origin, and nothing counts as used."""


class _Parser(argparse.ArgumentParser):
    """Adds the nearest subcommand to the complaint about a mistyped one."""

    def _check_value(self, action: argparse.Action, value: object) -> None:
        choices = None if action.choices is None else [str(choice) for choice in action.choices]
        if choices is not None and value not in choices:
            near = difflib.get_close_matches(str(value), choices, n=1)
            guess = f"did you mean {near[0]}?" if near else f"there are: {', '.join(choices)}"
            raise argparse.ArgumentError(action, f"there is no {value!r}; {guess}")

    def error(self, message: str) -> NoReturn:
        self.exit(_EXIT_USAGE, f"{self.prog}: {message}\nTry '{self.prog} --help'.\n")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="lockgate",
        description=_ABOUT,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"lockgate {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", title="commands")
    _add_serve(_add_command(commands, "serve", "run the proxy", _SERVE_EXAMPLES))
    check = _add_command(commands, "check", "check a configuration and explain it", _CHECK_EXAMPLES)
    check.add_argument("file", metavar="FILE", type=Path, help="the YAML file")
    _add_command(commands, "schema", "print the JSON Schema of the configuration", _SCHEMA_EXAMPLES)
    _add_purge(_add_command(commands, "purge", "take out of a running cache", _PURGE_EXAMPLES))
    _add_explain(
        _add_command(commands, "explain", "tell what a request would get, and why", _EXPLAIN_EXAMPLES)
    )
    cli_writes.add_writes(
        _add_command(commands, "writes", "see and steer queued writes", cli_writes.EXAMPLES),
        add_asking=_add_asking,
    )
    return parser


def _add_command(
    commands: argparse._SubParsersAction[_Parser], name: str, sentence: str, examples: str
) -> argparse.ArgumentParser:
    return commands.add_parser(
        name,
        help=sentence,
        description=f"{sentence[0].upper()}{sentence[1:]}.",
        epilog=examples,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )


def _add_serve(serve: argparse.ArgumentParser) -> None:
    source = serve.add_mutually_exclusive_group()
    source.add_argument("--config", metavar="FILE", type=Path, help="the YAML file")
    source.add_argument(
        "--origin", metavar="URL", help="http://host[:port], https://host[:port] or unix:/path"
    )
    serve.add_argument(
        "--listen",
        metavar="HOST:PORT",
        help=f"where clients connect, with --origin only (default: {DEFAULT_LISTEN})",
    )
    serve.add_argument("--admin", metavar="HOST:PORT|off", help="where health and metrics are served, or off")
    serve.add_argument(
        "--workers", metavar="N", type=int, help="processes that serve, instead of `workers.count`"
    )
    serve.add_argument(
        "--log-level",
        choices=("debug", "info", "warning", "error"),
        default="info",
        help="least severe message that is logged to standard error (default: info)",
    )


def _add_purge(purge: argparse.ArgumentParser) -> None:
    what = purge.add_mutually_exclusive_group(required=True)
    what.add_argument("--url", metavar="URL", help="every response of this URL: all variants, all cookies")
    what.add_argument("--tag", metavar="TAG", nargs="+", help="surrogate keys, cache tags or cache groups")
    what.add_argument("--prefix", metavar="URL", help="every URL that begins so")
    what.add_argument("--pattern", metavar="REGEX", help="every URL in which this is found")
    what.add_argument("--everything", action="store_true", help="all that is stored")
    purge.add_argument("--soft", action="store_true", help="make stale, do not remove")
    _add_asking(purge)


def _add_explain(explain: argparse.ArgumentParser) -> None:
    explain.add_argument("url", metavar="URL", help="what would be asked for")
    explain.add_argument(
        "-H", "--header", metavar="'Name: value'", action="append", default=[], help="a field of the request"
    )
    explain.add_argument("--method", metavar="METHOD", default="GET", help="(default: GET)")
    _add_asking(explain)


def _add_asking(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--admin",
        metavar="HOST:PORT",
        default=AdminSettings().address,
        help="the admin listener, or unix:/path (default: %(default)s)",
    )
    command.add_argument("--token", metavar="TOKEN", help=f"the admin token (default: ${_TOKEN_VARIABLE})")
    command.add_argument("--json", action="store_true", help="print the answer as JSON")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; `arguments` are the process's own by default. Gives the exit status."""
    parser = _parser()
    options, unknown = parser.parse_known_args(arguments)
    if unknown:
        parser.error(_unknown(unknown[0]))
    try:
        match options.command:
            case "serve":
                return _serve(options)
            case "check":
                return _print(_checked(options.file))
            case "schema":
                return _print([json.dumps(schema(), indent=2, ensure_ascii=False)])
            case "purge":
                return _print(_purged(options))
            case "explain":
                return _print(_explained(options))
            case "writes":
                return _print_as_it_comes(cli_writes.answered(options, _client(options)))
            case _:
                return _print([parser.format_help()])
    except ConfigError as error:
        print(_complaint(error), file=sys.stderr)
        return _EXIT_USAGE
    except AskFailed as error:
        print(f"lockgate: {error}", file=sys.stderr)
        return _EXIT_REFUSED


def _unknown(argument: str) -> str:
    near = difflib.get_close_matches(argument.partition("=")[0], _OPTIONS, n=1)
    return f"does not know {argument!r}" + (f"; did you mean {near[0]}?" if near else "")


def _complaint(error: ConfigError) -> str:
    lines = str(error).splitlines()
    if len(lines) == 1:
        return f"lockgate: {lines[0]}"
    return "\n  ".join([f"lockgate: {len(lines)} errors in the configuration:", *lines])


def _print(lines: Iterable[str]) -> int:
    _is_printed("\n".join(lines))
    return 0


def _is_printed(text: str) -> bool:
    try:
        print(text, flush=True)
    except BrokenPipeError:
        # The reader (`| head`) has enough; what is still buffered must not be written at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return False
    return True


def _print_as_it_comes(lines: Iterable[str]) -> int:
    """Until the reader has enough, or the user, who stops what goes on for ever by Ctrl-C."""
    with contextlib.suppress(KeyboardInterrupt):
        all(map(_is_printed, lines))
    return 0


def _serve(options: argparse.Namespace) -> int:
    source = _source(options)
    logging.basicConfig(
        level=options.log_level.upper(),
        format="%(asctime)s %(levelname)s %(name)s %(message)s",
        stream=sys.stderr,
    )
    # Here, so that `check` and `schema` need neither sockets nor the event loop's library.
    from proxy.workers.supervisor import serve

    return serve(source, log_level=options.log_level)


def serve_source(arguments: Sequence[str]) -> ConfigSource:
    """The configuration that the arguments of `lockgate serve` name. Raises: ConfigError."""
    return _source(_parser().parse_args(arguments))


def _source(options: argparse.Namespace) -> ConfigSource:
    """Raises: ConfigError."""
    if options.origin is None:
        if options.config is None:
            raise ConfigError(
                "serve needs --origin URL, or --config FILE; `lockgate serve --help` has examples"
            )
        if options.listen is not None:
            raise ConfigError(
                "--listen goes with --origin; with --config, write it under `listen` in the file"
            )
    return ConfigSource(
        file=None if options.config is None else str(options.config),
        origin=options.origin,
        listen=options.listen,
        admin=options.admin,
        workers=options.workers,
    ).read()


def _checked(file: Path) -> list[str]:
    config = load(file, environ=os.environ)
    warnings = (f"warning: {warning}" for warning in warnings_of(config))
    return [f"{file}: OK", *explained(config), *warnings]


def _purged(options: argparse.Namespace) -> list[str]:
    order: dict[str, object] = {"soft": options.soft}
    if options.tag is not None:
        order["tags"] = options.tag
    elif options.everything:
        order["everything"] = True
    else:
        named = {"url": options.url, "prefix": options.prefix, "pattern": options.pattern}
        order |= {name: value for name, value in named.items() if value is not None}
    answer = _client(options).purge(order)
    return _as_json(answer) if options.json else purge_lines(answer)


def _explained(options: argparse.Namespace) -> list[str]:
    query = [("url", options.url), ("method", options.method)]
    query += [("header", line) for line in options.header]
    answer = _client(options).explain(query)
    return _as_json(answer) if options.json else explanation_lines(answer)


def _client(options: argparse.Namespace) -> AdminClient:
    """Raises: ConfigError."""
    token = options.token or os.environ.get(_TOKEN_VARIABLE) or None
    if token is not None and not (token.isascii() and token.isprintable() and " " not in token):
        raise ConfigError("the token holds spaces or other than ASCII; see `admin.token` in the settings")
    return AdminClient(checked_address("--admin", options.admin), token=token)


def _as_json(answer: dict[str, object]) -> list[str]:
    return [json.dumps(answer, indent=2)]
