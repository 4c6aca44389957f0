"""Whether the program that is installed now can take over: it is loaded, and reads the configuration.

A supervisor that became a program that cannot run would be gone for good, so this is run before, in a
process of its own.
"""

from __future__ import annotations

import sys

from proxy.cli import serve_source
from proxy.errors import ConfigError
from proxy.workers import supervisor, worker


def main(arguments: list[str]) -> int:
    """Given the arguments of `lockgate serve`; 0 if all is well, else 2, and why on standard error."""
    assert supervisor.serve is not None, "loaded"
    assert worker.main is not None, "loaded"
    try:
        serve_source(arguments).config()
    except ConfigError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
