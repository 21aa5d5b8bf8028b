"""PyCryptodome, which runs the program `file` unless it is told what that would find."""

from __future__ import annotations

from functools import cache


@cache
def prepare() -> None:
    """Before every import of a part of it, so that the host's process has no child of ours."""
    from Crypto.Util import _raw_api

    known = getattr(_raw_api, "cached_architecture", None)  # absent where it loads with cffi
    if known is not None and not known:
        known[:] = ("64bit", "ELF")
