"""One module for each file of ffi/api: `async def name(client, arguments) -> result`.

A coroutine runs without a task of its own for as long as it can, see libmatrix.tasks: so limits of
time are `time_limit`, not `asyncio.timeout`.
"""
