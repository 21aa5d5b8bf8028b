"""history.lua with bare matrix-nio: nio_history.py URL ROOM PAGE_SIZE EVENTS; prints seconds."""

import asyncio
import sys
import time

from nio import AsyncClient, MessageDirection, RoomMessagesResponse


async def go_through(client: AsyncClient, room_id: str, size: int, wanted: int) -> str:
    got, start, cpu = 0, time.perf_counter(), time.process_time()
    token: str | None = None
    while got < wanted:
        page = await client.room_messages(room_id, token, None, MessageDirection.back, size)
        assert isinstance(page, RoomMessagesResponse), page
        got += sum(1 for event in page.chunk if event.event_id)
        token = page.end
    seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
    return f'{{"seconds":{seconds:.4f},"cpu":{cpu:.4f}}}'


async def main(url: str, room_id: str, size: int, wanted: int) -> None:
    client = AsyncClient(url, "@bench:localhost")
    client.access_token, client.user_id, client.device_id = "token", "@bench:localhost", "D"
    await go_through(client, room_id, size, wanted)
    print(await go_through(client, room_id, size, wanted), flush=True)
    await client.close()


asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])))
