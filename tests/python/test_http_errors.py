"""Every exception of the layers below becomes an `HttpError`, and every code is a public one."""

from __future__ import annotations

import errno
import os
import socket
import ssl
import tomllib
import zlib
from pathlib import Path

import httptools
import pytest

from libmatrix.http import client as http
from libmatrix.http.errors import HttpError, HttpInternalError, map_exception

ROOT = Path(__file__).parents[2]


def exceptions_of(module: object) -> list[type[Exception]]:
    """The exception classes a module defines or hands on."""
    public = [value for name, value in vars(module).items() if name[0] != "_"]
    found = [value for value in public if isinstance(value, type)]
    return sorted({kind for kind in found if issubclass(kind, Exception)}, key=str)


def our_tree(kind: type[HttpError] = HttpError) -> list[type[HttpError]]:
    """All subclasses."""
    return [kind, *(leaf for child in kind.__subclasses__() for leaf in our_tree(child))]


LIBRARY = [kind for module in (httptools, ssl, socket, zlib) for kind in exceptions_of(module)]
SYSTEM = [ConnectionError, *ConnectionError.__subclasses__(), TimeoutError, OSError]


def test_the_libraries_still_have_exceptions() -> None:
    assert len(LIBRARY) >= 15


@pytest.mark.parametrize("kind", [*LIBRARY, *SYSTEM])
def test_every_exception_is_mapped(kind: type[Exception]) -> None:
    mapped = map_exception(kind("hunter2"), "asking", sent=True)
    assert not isinstance(mapped, HttpInternalError)
    assert mapped.sent
    assert mapped.message.startswith("asking")
    assert "hunter2" not in mapped.message


@pytest.mark.parametrize("number", sorted(errno.errorcode))
def test_every_error_number_is_mapped(number: int) -> None:
    mapped = map_exception(OSError(number, "hunter2"), "asking", sent=False)
    assert not isinstance(mapped, HttpInternalError)
    assert not mapped.sent
    assert "hunter2" not in mapped.message
    if number in (errno.EMFILE, errno.ENFILE):
        assert mapped.code == "E_TOO_MANY_FILES"
    elif not isinstance(mapped, http.HttpTimeoutError):
        assert os.strerror(number) in mapped.message


def test_an_unknown_exception_is_named_and_not_quoted() -> None:
    mapped = map_exception(LookupError("hunter2"), "asking", sent=True)
    assert (mapped.code, mapped.message) == ("E_INTERNAL", "asking: unexpected LookupError")


def test_every_code_is_in_the_list() -> None:
    listed = tomllib.loads((ROOT / "ffi" / "api" / "errors.toml").read_text())
    assert {kind.code for kind in our_tree()} <= set(listed)


def test_the_tree_is_public() -> None:
    public = {getattr(http, name) for name in http.__all__}
    hidden = {kind.__name__ for kind in our_tree() if kind not in public}
    assert hidden == {"StaleConnectionError"}
