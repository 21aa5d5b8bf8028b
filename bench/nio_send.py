"""sending.c with bare matrix-nio: nio_send.py URL COUNT ROOM…; keeps nothing."""

import asyncio
import json
import os
import sys
import time

from nio import AsyncClient, AsyncClientConfig, RoomSendResponse

TEXT = "number %d, as long as what people say to each other in a room"


async def send(client: AsyncClient, room_id: str, number: int) -> None:
    content = {"msgtype": "m.text", "body": TEXT % number, "m.mentions": {}}
    answer = await client.room_send(room_id, "m.room.message", content)
    assert isinstance(answer, RoomSendResponse), answer


async def send_all(client: AsyncClient, room_id: str, numbers: range) -> None:
    for number in numbers:
        await send(client, room_id, number)


def tell(name: str, start: float, count: int) -> None:
    line = {"name": name, "per_second": count / (time.perf_counter() - start)}
    print(json.dumps(line), flush=True)


async def main(url: str, count: int, rooms: list[str]) -> None:
    config = AsyncClientConfig(encryption_enabled=False)
    client = AsyncClient(url, os.environ["MATRIX_USER_ID"], config=config)
    client.access_token = os.environ["MATRIX_TOKEN"]
    await send(client, rooms[0], 0)
    start = time.perf_counter()
    await send_all(client, rooms[0], range(count))
    tell("one by one", start, count)
    start = time.perf_counter()
    step = len(rooms)
    ways = [send_all(client, room, range(at, count, step)) for at, room in enumerate(rooms)]
    await asyncio.gather(*ways)
    tell("parallel", start, count)
    await client.close()


asyncio.run(main(sys.argv[1], int(sys.argv[2]), sys.argv[3:]))
