"""One module for each file of ffi/api: `async def name(client, arguments) -> result`.

A coroutine runs without a task of its own for as long as it can, see libmatrix.tasks: what has to
be in one begins with `in_task()`, and limits of time are `time_limit`, not `asyncio.timeout`.
"""
