"""Room keys to and from key files: on a thread what takes long, and in turns with all else."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from libmatrix.crypto.key_file import KeyFileWriter, read_key_file
from libmatrix.crypto.taking import TURN, Report, Taken, take_keys
from libmatrix.errors import BROKEN_JSON, KeyFileError

if TYPE_CHECKING:
    from libmatrix.crypto.machine import Crypto

_encode = msgspec.json.Encoder().encode


class _Target:
    """A file that is there whole in the end, or not at all; without a path, memory."""

    def __init__(self, path: str | None) -> None:
        self._path = Path(path) if path is not None else None
        self._parts: list[bytes] = []
        self._file: Any = None
        self._fresh: Path | None = None

    def open(self) -> None:
        """Makes a file for this user only."""
        if self._path is None:
            return
        fresh = self._path.with_name(f"{self._path.name}.{os.urandom(6).hex()}.new")
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        self._file = os.fdopen(os.open(fresh, flags, 0o600), "wb")
        self._fresh = fresh

    def write(self, data: bytes) -> None:
        """Adds to it."""
        if self._file is not None:
            self._file.write(data)
        else:
            self._parts.append(data)

    def finish(self) -> str | None:
        """Puts the file in its place; without one, gives the text."""
        if self._path is None or self._fresh is None:
            return b"".join(self._parts).decode()
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        self._fresh.replace(self._path)
        self._fresh = None
        return None

    def abandon(self) -> None:
        """Leaves nothing behind; harmless afterwards."""
        if self._fresh is not None:
            with contextlib.suppress(OSError):
                self._file.close()
                self._fresh.unlink()


async def export_keys(
    crypto: Crypto,
    passphrase: str,
    *,
    path: str | None,
    room_id: str | None,
    rounds: int,
    report: Report,
) -> tuple[int, str | None]:
    """Writes the keys there are; how many, and the text when there is no path."""
    places = [p for p in crypto.room_keys.places() if room_id is None or p[0] == room_id]
    target = _Target(path)
    with _errors(path):
        try:
            report(0, len(places))
            writer = await asyncio.to_thread(_begin, target, passphrase, rounds)
            text, count = b"[", 0
            for number, place in enumerate(places, 1):
                # One that a stranger sent may have given way meanwhile.
                with contextlib.suppress(LookupError):
                    exported = _encode(crypto.room_keys.export(*place))
                    text += b"," + exported if count else exported
                    count += 1
                if not number % TURN:
                    await asyncio.to_thread(_write, target, writer, text)
                    text = b""
                    report(number, len(places))
            done = await asyncio.to_thread(_finish, target, writer, text + b"]")
        finally:
            target.abandon()
    report(len(places), len(places))
    return count, done


def _begin(target: _Target, passphrase: str, rounds: int) -> KeyFileWriter:
    target.open()
    return KeyFileWriter(passphrase, rounds)


def _write(target: _Target, writer: KeyFileWriter, text: bytes) -> None:
    target.write(writer.write(text))


def _finish(target: _Target, writer: KeyFileWriter, text: bytes) -> str | None:
    target.write(writer.write(text) + writer.finish())
    return target.finish()


async def import_keys(
    crypto: Crypto, passphrase: str, *, path: str | None, text: str | None, report: Report
) -> Taken:
    """Takes the keys of a file or text; what is no key in it is counted."""
    with _errors(path):
        sessions = await asyncio.to_thread(_read, passphrase, path, text)
    return await take_keys(
        crypto, sessions, lambda each: crypto.room_keys.take_exported(each, "import"), report
    )


def _read(passphrase: str, path: str | None, text: str | None) -> list[Any]:
    data = Path(path).read_bytes() if path is not None else (text or "").encode()
    content = read_key_file(data, passphrase)
    try:
        return msgspec.json.decode(content, type=list[Any])
    except BROKEN_JSON:
        raise ValueError("the key file holds no list of room keys") from None


@contextlib.contextmanager
def _errors(path: str | None) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise KeyFileError(f"the key file {path}: {error.strerror}") from None
    except ValueError as error:
        raise KeyFileError(str(error)) from None
