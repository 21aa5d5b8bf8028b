"""After a logout the files of a store hold nothing of what was in it, also where nobody looks."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.encrypted import Talker, encrypted_room
from tests.support.homeserver import Homeserver
from tests.support.runtime_host import RuntimeHost

pytestmark = pytest.mark.homeserver
FILE, KEY = "libmatrix.sqlite3", "libmatrix.key"
# Shorter ones may be anywhere by chance; the file's own format has some, too.
SHORTEST, WINDOW = 12, 24


def read(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def values(folder: Path, copy: Path) -> set[bytes]:
    """All that a store holds, the part that is only in its log included."""
    copy.mkdir()
    for path in folder.iterdir():
        shutil.copy(path, copy)
    with sqlite3.connect(copy / FILE) as connection:
        schema = "SELECT name FROM sqlite_schema WHERE type = 'table'"
        tables = [name for (name,) in connection.execute(schema)]
        found = {
            value.encode() if isinstance(value, str) else value
            for table in tables
            if not table.startswith("sqlite_")
            for row in connection.execute(f"SELECT * FROM {table}")
            for value in row
            if isinstance(value, str | bytes)
        }
    connection.close()
    return found


def pieces(value: bytes) -> Iterator[bytes]:
    """Its beginning, middle and end: a long value is spread over pages."""
    if len(value) <= WINDOW:
        yield value
        return
    for start in (0, (len(value) - WINDOW) // 2, len(value) - WINDOW):
        yield value[start : start + WINDOW]


def left(folder: Path, secrets: set[bytes]) -> list[tuple[str, bytes]]:
    """What of it is still in a file, and in which."""
    files = read(folder)
    names = {name.encode() for name in (*files, "encrypted_room", "secret", "crypto_value")}
    return [
        (name, piece)
        for secret in secrets
        if len(secret) >= SHORTEST and secret not in names
        for piece in pieces(secret)
        for name, data in files.items()
        if piece in data
    ]


@pytest.mark.parametrize("local_only", [False, True])
@pytest.mark.parametrize("passphrase", [None, "correct horse"])
def test_nothing_is_left(
    homeserver: Homeserver, tmp_path: Path, local_only: bool, passphrase: str | None
) -> None:
    account, folder = homeserver.account(), tmp_path / "store"
    with RuntimeHost() as host:
        options = {} if passphrase is None else {"store_passphrase": passphrase}
        talker = Talker(host, homeserver, account, folder, **options)
        room_id = encrypted_room(homeserver, talker)
        secrets: set[bytes] = set()
        # What is kept in its log, in pages that are freed again, and over many of them.
        for number in range(30):
            talker.send(room_id, f"{number} lumps")
            if number % 10 == 0:
                secrets |= values(folder, tmp_path / f"after {number}")
            talker.call("discard_room_key", room_id=room_id)
        talker.sync()
        talker.call("create_backup")
        # Of a room that is not: it waits, or has failed and is told.
        host.submit(talker.client, "send_text", room_id="!nowhere:x", body="a word in private")
        host.settle()
        token = talker.call("export_session")["session"].encode()
        secrets |= values(folder, tmp_path / "before") | {token}
        key = folder / KEY
        assert key.exists() == (passphrase is None)
        if passphrase is None:
            secrets.add(key.read_bytes())
        assert len(left(folder, secrets)) > 100, "the search finds what is there"
        talker.call("logout", local_only=local_only)
        assert not left(folder, secrets)
        assert not key.exists()
        host.send("close_client", talker.client)
        host.settle()
    assert not left(folder, secrets)
    assert read(folder).keys() <= {FILE, "libmatrix.lock"}


def test_the_key_goes_also_when_encryption_was_off_by_then(
    homeserver: Homeserver, tmp_path: Path
) -> None:
    account = homeserver.account()
    with RuntimeHost() as host:
        Talker(host, homeserver, account, tmp_path).sync()
    secret = (tmp_path / KEY).read_bytes()
    with RuntimeHost() as host:
        Talker(host, homeserver, account, tmp_path, encryption=False).call("logout")
        assert not left(tmp_path, {secret}) and not (tmp_path / KEY).exists()
