"""syncing.c with bare matrix-nio: nio_sync.py URL EVENTS; prints seconds and peak MiB."""

import asyncio
import sys
import time

from nio import AsyncClient, Event, SyncResponse
from peak import peak_mib


async def main(url: str, wanted: int) -> None:
    client = AsyncClient(url, "@bench:localhost")
    client.access_token, client.user_id, client.device_id = "token", "@bench:localhost", "D"
    got = 0

    def on_event(_room: object, _event: Event) -> None:
        nonlocal got
        got += 1

    client.add_event_callback(on_event, Event)
    start = time.perf_counter()
    while got < wanted:
        assert isinstance(await client.sync(), SyncResponse)
    seconds = time.perf_counter() - start
    print(f'{{"seconds":{seconds:.4f},"mib":{peak_mib():.1f}}}', flush=True)
    await client.close()


asyncio.run(main(sys.argv[1], int(sys.argv[2])))
