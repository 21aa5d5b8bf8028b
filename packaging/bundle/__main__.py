"""Makes and checks the Python runtime that libmatrix carries.

Run it with the interpreter to embed: `python3 packaging/bundle collect --root build/release …`.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path

import bytecode
import interpreter
import licences
import sizes
import verify
from collect import collect
from errors import BundleError


def _facts(_: argparse.Namespace) -> None:
    python = interpreter.current()
    print(
        json.dumps(
            {
                "version": python.version,
                "library": str(python.library),
                "include": str(python.include),
                "private_library": interpreter.private_name(python.library.name),
                "private_crypto": interpreter.crypto_library(python),
            }
        )
    )


def _collect(options: argparse.Namespace) -> None:
    python = interpreter.current()
    texts = [tuple(pair.split("=", 1)) for pair in options.licence]
    libraries = collect(python, options.root, options.lock, options.installed)
    site = options.root / "lib/libmatrix/python/site"
    folder = options.root / "share/doc/libmatrix"
    lines = licences.texts(python, libraries.sources, options.installed, site, folder / "licenses")
    licences.stated(texts, folder / "licenses")
    licences.notice(options.notice, lines, folder / "NOTICE")


def _package(options: argparse.Namespace) -> None:
    bytecode.package(options.source, options.target)


def _verify(options: argparse.Namespace) -> None:
    verify.check_tree(options.root)
    if options.probe:
        verify.check_imports(options.root, options.probe)


def _sizes(options: argparse.Namespace) -> None:
    print(sizes.report(options.root))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="bundle", description=__doc__)
    parser.add_argument("--patchelf", type=Path, help="the patchelf program, if not on PATH")
    commands = parser.add_subparsers(required=True)

    facts = commands.add_parser("facts", help="say as JSON what would be embedded")
    facts.set_defaults(run=_facts)

    make = commands.add_parser("collect", help="make the runtime")
    make.add_argument("--root", type=Path, required=True, help="prefix to put lib/libmatrix under")
    make.add_argument("--lock", type=Path, required=True, help="locked requirements, with hashes")
    make.add_argument("--installed", type=Path, required=True, help="where pip installs to")
    make.add_argument("--notice", type=Path, required=True, help="the project's own NOTICE")
    make.add_argument(
        "--licence", action="append", default=[], metavar="NAME=FILE", help="a file that states one"
    )
    make.set_defaults(run=_collect)

    package = commands.add_parser("package", help="compile a package of our own")
    package.add_argument("source", type=Path)
    package.add_argument("target", type=Path)
    package.set_defaults(run=_package)

    check = commands.add_parser("verify", help="fail unless the tree is self-contained")
    check.add_argument("--root", type=Path, required=True)
    check.add_argument("--probe", type=Path, help="program that boots the bundled Python")
    check.set_defaults(run=_verify)

    table = commands.add_parser("sizes", help="print what the tree holds by size")
    table.add_argument("--root", type=Path, required=True)
    table.set_defaults(run=_sizes)
    return parser


def main() -> int:
    """Runs one command; a fault of the machine is told in one text, without a traceback."""
    options = _parser().parse_args()
    if options.patchelf:
        os.environ["PATH"] = f"{options.patchelf.parent}:{os.environ.get('PATH', os.defpath)}"
    try:
        options.run(options)
    except BundleError as error:
        print(f"bundle: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
