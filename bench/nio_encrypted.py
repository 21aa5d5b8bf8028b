"""encrypted.c with matrix-nio: nio_encrypted.py stream|send|open URL STORE [EVENTS|ROOM]."""

import asyncio
import sys
import time
from pathlib import Path

from nio import AsyncClient, AsyncClientConfig, RoomMessageText, RoomSendResponse

ME, DEVICE = "@bench:localhost", "D"


async def stream(client: AsyncClient, wanted: int) -> float:
    got = 0
    first = 0.0

    def on_event(_room: object, event: RoomMessageText) -> None:
        nonlocal got, first
        assert event.decrypted and event.body
        first = first or time.perf_counter()
        got += 1

    client.add_event_callback(on_event, RoomMessageText)
    while got < wanted:
        await client.sync()
    return time.perf_counter() - first


async def send(client: AsyncClient, room_id: str) -> float:
    start = time.perf_counter()
    content = {"msgtype": "m.text", "body": "hi"}
    sent = await client.room_send(
        room_id, "m.room.message", content, ignore_unverified_devices=True
    )
    assert isinstance(sent, RoomSendResponse), sent
    return time.perf_counter() - start


async def main(mode: str, url: str, folder: str, *rest: str) -> None:
    config = AsyncClientConfig(encryption_enabled=True)
    start = time.perf_counter()
    client = AsyncClient(url, ME, DEVICE, folder, config=config)
    client.restore_login(ME, DEVICE, "token")
    seconds = time.perf_counter() - start
    if mode != "open":
        await client.keys_upload()
        await client.sync()
        work = stream(client, int(rest[0])) if mode == "stream" else send(client, rest[0])
        seconds = await work
    print(f'{{"seconds":{seconds:.4f}}}', flush=True)
    await client.close()


Path(sys.argv[3]).mkdir(exist_ok=True)
asyncio.run(main(*sys.argv[1:]))
