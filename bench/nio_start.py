"""cold_start.c with bare matrix-nio: nio_start.py URL login|sync; prints its peak RSS in MiB."""

import asyncio
import sys

from nio import AsyncClient, LoginResponse, SyncResponse
from peak import peak_mib


async def main(url: str, until: str) -> None:
    client = AsyncClient(url, "@bench:localhost")
    assert isinstance(await client.login("bench"), LoginResponse)
    if until == "sync":
        assert isinstance(await client.sync(), SyncResponse)
    print(f"{peak_mib():.1f}", flush=True)
    await client.close()


asyncio.run(main(sys.argv[1], sys.argv[2]))
