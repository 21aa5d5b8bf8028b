"""Operations for trying out a host's own loop, and the bundle."""

from __future__ import annotations

import asyncio
import importlib
import sys
import time

from libmatrix.client import Client
from libmatrix.crypto.pycryptodome import prepare
from libmatrix.errors import ArgumentError, MatrixError
from libmatrix.table_gen import (
    ListPartsArguments,
    ListPartsResult,
    Part,
    PingArguments,
    PingProgress,
    PingResult,
)

_PACKAGES = (
    "_cffi_backend",
    "certifi",
    "httptools",
    "msgspec",
    "nio",
    "sqlite3",
    "ssl",
    "vodozemac",
)
_MOST_PROGRESS = 100_000


async def ping(client: Client, arguments: PingArguments) -> PingResult:
    """Answers with what it was given."""
    payload = arguments.payload or None
    if (
        arguments.busy_ms == 0
        and arguments.delay_ms == 0
        and arguments.progress_count == 0
        and arguments.host_call is None
    ):
        return PingResult(payload=payload)
    _check(arguments)
    report = client.reporter()
    ask = client.asker()
    _keep_busy(arguments.busy_ms / 1000)
    for done in range(1, arguments.progress_count + 1):
        report(PingProgress(done=done, total=arguments.progress_count))
        await asyncio.sleep(0)
    if arguments.delay_ms:
        await asyncio.sleep(arguments.delay_ms / 1000)
    answer = None
    if arguments.host_call is not None:
        answer = await ask(arguments.host_call, arguments.payload, arguments.host_call_timeout_ms)
    return PingResult(payload=payload, answer=answer)


def _check(arguments: PingArguments) -> None:
    for name in ("busy_ms", "delay_ms", "progress_count", "host_call_timeout_ms"):
        if getattr(arguments, name) < 0:
            raise ArgumentError(f"{name} is negative")
    if arguments.progress_count > _MOST_PROGRESS:
        raise ArgumentError(f"progress_count is larger than {_MOST_PROGRESS}")


def _keep_busy(seconds: float) -> None:
    """Holds Python's lock in pure Python, as the worst of callbacks would."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        sum(range(100))


async def list_parts(client: Client, arguments: ListPartsArguments) -> ListPartsResult:
    """Loads every part the bundle carries and tells its version."""
    prepare()  # nio loads it
    parts = [Part(name="python", version=sys.version.split()[0])]
    parts += [Part(name=name.lstrip("_"), version=_version(name)) for name in _PACKAGES]
    return ListPartsResult(parts=parts)


def _version(name: str) -> str:
    try:
        module = importlib.import_module(name)
    except ImportError as error:
        raise MatrixError(f"{name} cannot be loaded: {error}", code="E_PYTHON") from error
    if name == "ssl":
        return str(module.OPENSSL_VERSION.split()[1])
    if name == "sqlite3":
        return str(module.sqlite_version)
    return str(getattr(module, "__version__", None) or _distribution_version(name))


def _distribution_version(name: str) -> str:
    from importlib import metadata

    try:
        return metadata.version({"nio": "matrix-nio"}.get(name, name))
    except metadata.PackageNotFoundError:
        return "unknown"
