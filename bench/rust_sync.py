"""syncing.c and cold_start.c with matrix-rust-sdk through its Python bindings (matrix-sdk-python).

rust_sync.py URL login|sync prints the peak RSS in MiB; rust_sync.py URL SYNCS STORE prints seconds
and peak MiB of so many syncs, whose events never reach Python.
"""

import asyncio
import sys
import time
from pathlib import Path

from matrix_sdk_python import (
    ClientBuilder,
    Session,
    SlidingSyncVersion,
    SlidingSyncVersionBuilder,
    SqliteStoreBuilder,
    SyncSettingsV2,
)
from peak import peak_mib


def builder(url: str) -> ClientBuilder:
    made = ClientBuilder().homeserver_url(url)
    return made.sliding_sync_version_builder(SlidingSyncVersionBuilder.NONE)


async def start(url: str, until: str) -> None:
    client = await builder(url).in_memory_store().build()
    await client.login("bench", "bench", None, None)
    if until == "sync":
        await client.sync_once_v2(SyncSettingsV2())
    print(f"{peak_mib():.1f}", flush=True)


async def stream(url: str, wanted: int, store: str) -> None:
    client = await builder(url).sqlite_store(SqliteStoreBuilder(store, store)).build()
    session = Session(
        access_token="token",
        refresh_token=None,
        user_id="@bench:localhost",
        device_id="D",
        homeserver_url=url,
        oauth_data=None,
        sliding_sync_version=SlidingSyncVersion.NONE,
    )
    await client.restore_session(session)
    began = time.perf_counter()
    for _ in range(wanted):
        await client.sync_once_v2(SyncSettingsV2())
    seconds = time.perf_counter() - began
    print(f'{{"seconds":{seconds:.4f},"mib":{peak_mib():.1f}}}', flush=True)


if len(sys.argv) == 4:
    Path(sys.argv[3]).mkdir()
    asyncio.run(stream(sys.argv[1], int(sys.argv[2]), sys.argv[3]))
else:
    asyncio.run(start(sys.argv[1], sys.argv[2]))
