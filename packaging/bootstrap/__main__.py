"""Sets up what the project needs: `python3 packaging/bootstrap STEP…`.

Every step says what it does, does only what is missing, and may be repeated at any time.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import common
import environments
import fennel_package
import foreign
import lua_sources
import system
import yyjson_sources
from common import CACHE, SetupError

STEPS = {
    "system-build": system.for_build,
    "system-demo": system.for_demo,
    "system-test": system.for_test,
    "system-package": system.for_package,
    "venv": environments.tools,
    "synapse": environments.synapse,
    "foreign": foreign.install,
    "peers": foreign.install_peers,
    "fennel": lambda: fennel_package.fetch(CACHE),
    "yyjson": lambda: yyjson_sources.fetch(CACHE / "yyjson"),
    "lua-headers": lambda: lua_sources.headers(CACHE / "lua"),
    "lua5.5": lambda: lua_sources.interpreter(CACHE / "lua5.5"),
    "lock": environments.lock,
}
FETCHERS = {
    "fetch-fennel": fennel_package.fetch,
    "fetch-yyjson": yyjson_sources.fetch,
    "fetch-lua-headers": lua_sources.headers,
    "fetch-lua5.5": lua_sources.interpreter,
}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="packaging/bootstrap",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    names = [*STEPS, *FETCHERS]
    parser.add_argument("steps", nargs="+", metavar="STEP", choices=names, help=", ".join(names))
    parser.add_argument("--output", type=Path, help="the folder for a fetch-… step")
    return parser


def main() -> int:
    """Runs the steps in the order given; 1 when one failed, with the reason on stderr."""
    parser = _parser()
    options = parser.parse_args()
    fetching = [name for name in options.steps if name in FETCHERS]
    if fetching and not options.output:
        parser.error(f"{fetching[0]} needs --output")
    start = time.monotonic()
    try:
        for name in options.steps:
            if name in FETCHERS:
                FETCHERS[name](options.output.resolve())
            else:
                STEPS[name]()
    except SetupError as error:
        print(f"bootstrap: error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("bootstrap: stopped", file=sys.stderr)
        return 130
    common.say(f"done in {time.monotonic() - start:.1f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
