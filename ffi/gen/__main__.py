"""``python3 -m ffi.gen [--check | --lint]``"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from . import coverage, names
from .load import load
from .model import Api, ApiError
from .outputs import differences, outputs, write

ROOT = Path(__file__).resolve().parents[2]


def main(arguments: list[str] | None = None) -> int:
    """Runs the generator; the process's exit status."""
    parser = argparse.ArgumentParser(prog="python3 -m ffi.gen", description=__doc__)
    mode = parser.add_mutually_exclusive_group()
    mode.add_argument(
        "--check", action="store_true", help="only say which files are out of date; then fail"
    )
    mode.add_argument(
        "--lint",
        action="store_true",
        help="only say which operations lack a handler, a test or a page, and which handlers and "
        "error codes are not in the list; then fail",
    )
    parser.add_argument("--root", type=Path, default=ROOT, help="the project's folder")
    options = parser.parse_args(arguments)
    try:
        api = read_list(options.root)
    except ApiError as error:
        print(f"ffi/api/{error}", file=sys.stderr)
        return 1
    if options.lint:
        return _report(coverage.gaps(options.root, api))
    if options.check:
        wrong = differences(options.root, outputs(api))
        return _report([f"{path}: is out of date; run python3 -m ffi.gen" for path in wrong])
    for path in write(options.root, outputs(api)):
        print(path)
    return 0


def read_list(root: Path) -> Api:
    """The list of the project in `root`."""
    return load(root / "ffi/api", names.taken(root / "ffi/include/matrix"))


def _report(problems: list[str]) -> int:
    for problem in problems:
        print(problem, file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
