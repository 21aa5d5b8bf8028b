"""One module for each file of ffi/api: `async def name(client, arguments) -> result`.

A coroutine runs without a task of its own until its first wait, which must be `in_task()` of
libmatrix.tasks or something that begins with it, as every call of `client.api` does.
"""
