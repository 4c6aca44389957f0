"""The public suite http-cache-tests against Lockgate: `python -m loadtest.conformance PACKAGE`.

PACKAGE is the suite, unpacked, with what it depends on; it needs Node.js and npm:

    npm pack http-cache-tests@0.4.5 && tar xzf http-cache-tests-0.4.5.tgz
    cd package && npm install --omit=dev --ignore-scripts

Its origin and its client run as they are, with a `lockgate serve` between them, once under each profile. What
fails is told with the reason that `KNOWN` has for it. The exit status is 1 if a test that the suite calls
required fails without one.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

import yaml

from loadtest.bench.report import surroundings, table
from loadtest.processes import free_port, lockgate_command, serving
from loadtest.shows.report import prepare
from proxy import __version__

PROFILES = ("pragmatic", "strict-rfc")
KINDS = ("required", "optimal")
_CLIENT_TIMEOUT_S = 600

_OWN_ANSWER = (
    "our 502 carries no count of the origin's, and the suite takes that for an answer from the cache"
)
_NOT_SHARED = "`set_cookie: private`: not shared, unless the profile is `strict-rfc`"
_BARE_304 = "`strict-rfc`: a 304 without validator updates nothing that has one (§4.3.4)"
KNOWN = {
    "age-parse-*": "RFC 9111 §5.1: of several values the first counts, and an invalid one is ignored; "
    "the suite's edition is older",
    "stale-close-*": _OWN_ANSWER,
    "headers-store-Transfer-Encoding": "an unknown transfer coding is refused, as nobody knows its end",
    "304-etag-update-response-ETag": "§4.3.4: a 304 with another strong entity tag is about nothing stored, "
    "so it is asked again without a condition",
    "304-etag-update-response-Content-MD5": "§3.2 does not except it from what a 304 replaces",
    "headers-store-Set-Cookie": _NOT_SHARED,
    "other-set-cookie": _NOT_SHARED,
    "304-etag-update-response-Set-Cookie": "a Set-Cookie of a 304 goes to the one who asked alone",
    "cc-resp-no-cache-revalidate*": _BARE_304,
    "cc-resp-must-revalidate-stale": _BARE_304,
    "conditional-lm-fresh-no-lm": "the date asked about is before the Date of what is stored (§4.3.2)",
    "heuristic-5??-cached": "an error of the origin is not kept by a guess",
    "vary-normalise-lang-*": "order and weights of languages are the origin's to read (§4.1 allows both)",
    "vary-normalise-space": "inner space of an unknown field may mean something (§4.1 allows both)",
    "partial-store-partial-*": "a 206 is stored where `cache.partial` says so",
}
"""Names of tests, with wildcards, to why they fail."""

_TESTS = """
const suites = (await import('./tests/index.mjs')).default
const found = {}
for (const suite of suites)
    for (const test of suite.tests)
        if (test.browser_only !== true) found[test.id] = test.kind || 'required'
console.log(JSON.stringify(found))
"""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one run; `failed` are names of tests."""

    kinds: dict[str, str]
    passed: frozenset[str]

    def count(self, kind: str) -> str:
        """How many of a kind passed, of how many."""
        of_kind = [name for name, found in self.kinds.items() if found == kind]
        return f"{len(self.passed & set(of_kind))} of {len(of_kind)}"

    def failed(self, kind: str) -> list[str]:
        """Those of a kind that did not pass, by name."""
        return sorted(name for name, found in self.kinds.items() if found == kind and name not in self.passed)


def reason_for(name: str) -> str | None:
    """Why a test is known to fail; None if it is not."""
    return next((reason for pattern, reason in KNOWN.items() if fnmatch(name, pattern)), None)


def _node(package: Path, *arguments: str, **environ: str) -> str:
    done = subprocess.run(
        ["node", "--no-warnings", *arguments],
        cwd=package,
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        timeout=_CLIENT_TIMEOUT_S,
        check=True,
    )
    return done.stdout


@contextmanager
def _lockgate(origin_url: str, profile: str) -> Iterator[str]:
    port = free_port()
    config = {
        "listen": [{"address": f"127.0.0.1:{port}"}],
        "admin": {"enabled": False},
        "access_log": {"enabled": False},
        "origins": {"suite": {"addresses": [origin_url]}},
        "routes": [{"origin": "suite", "cache": {"profile": profile}}],
    }
    with tempfile.TemporaryDirectory(prefix="lockgate-conformance-") as directory:
        file = Path(directory) / "lockgate.yaml"
        file.write_text(yaml.safe_dump(config))
        with serving("conformance-lockgate", lockgate_command("--config", str(file)), port) as lockgate:
            yield lockgate.url


def _run(package: Path, kinds: dict[str, str], profile: str) -> Outcome:
    port = free_port()
    with tempfile.NamedTemporaryFile(prefix="lockgate-conformance-") as pidfile:
        environ = {
            "npm_config_protocol": "http",
            "npm_config_port": str(port),
            "npm_config_pidfile": pidfile.name,
        }
        # The address `localhost` is in its pages only; it listens on all.
        command = ["node", "--no-warnings", str(package / "server/server.mjs")]
        with (
            serving("conformance-origin", command, port, environ=environ) as origin,
            _lockgate(origin.url, profile) as url,
        ):
            told = _node(package, "cli.mjs", npm_config_base=url, npm_package_config_id="")
    results = json.loads(told)
    return Outcome(kinds, frozenset(name for name, result in results.items() if result is True))


def _recorded(package: Path, kinds: dict[str, str]) -> list[tuple[str, ...]]:
    """What the suite's authors recorded of other shared caches, in the same edition."""
    rows = []
    for name in ("trafficserver", "apache", "squid", "varnish", "nginx"):
        results = json.loads((package / f"results/{name}.json").read_text())
        outcome = Outcome(kinds, frozenset(test for test, result in results.items() if result is True))
        rows.append((f"{name}, as recorded in the suite", *(outcome.count(kind) for kind in KINDS)))
    return rows


def failures(outcomes: dict[str, Outcome]) -> tuple[str, list[str]]:
    """What failed, by its reason, as a list in Markdown; and what is required and has none."""
    found: dict[tuple[str, str], list[str]] = {}
    unknown = []
    for kind in KINDS:
        for name in sorted({name for outcome in outcomes.values() for name in outcome.failed(kind)}):
            where = [profile for profile, outcome in outcomes.items() if name in outcome.failed(kind)]
            reason = reason_for(name)
            if reason is None and kind == "required":
                unknown.append(f"{name} ({', '.join(where)})")
            only = "" if len(where) == len(outcomes) else f" ({', '.join(where)} only)"
            found.setdefault((kind, reason or "**not known**"), []).append(f"`{name}`{only}")
    lines = [f"- {kind}, {', '.join(names)}: {reason}." for (kind, reason), names in found.items()]
    return "\n".join(lines), unknown


def main() -> int:
    """0 if every required test passed or is known not to, 1 otherwise."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("package", type=Path, metavar="PACKAGE")
    package = parser.parse_args().package.resolve()
    prepare()
    kinds: dict[str, str] = json.loads(_node(package, "--input-type=module", "--eval", _TESTS))
    outcomes = {profile: _run(package, kinds, profile) for profile in PROFILES}
    rows = [
        (f"Lockgate, {profile}", *(outcome.count(kind) for kind in KINDS))
        for profile, outcome in outcomes.items()
    ]
    print(surroundings([f"Lockgate {__version__}"], os.getloadavg()[0]) + "\n")
    print(table(("server", *KINDS), [*rows, *_recorded(package, kinds)]) + "\n")
    text, unknown = failures(outcomes)
    print(text)
    for name in unknown:
        print(f"FAILED, and not known to: {name}", file=sys.stderr)
    return 1 if unknown else 0


if __name__ == "__main__":
    sys.exit(main())
