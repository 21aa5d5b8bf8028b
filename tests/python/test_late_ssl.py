"""ssl comes late: not with asyncio, and whole when the first TLS connection needs it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.support import certificates

ROOT = Path(__file__).resolve().parents[2]

SCENARIO = """
import sys
sys.path[:0] = {path!r}
from libmatrix.http import late_ssl
prepared = []
late_ssl.install(lambda: prepared.append(sorted(sys.modules).count("_ssl")))
import asyncio
from libmatrix.http.client import HttpClient, HttpError, HttpSettings

async def answer(reader, writer):
    await reader.readuntil(b"\\r\\n\\r\\n")
    writer.write(b"HTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\n\\r\\nhi")
    await writer.drain()
    writer.close()

async def plain():
    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    client = HttpClient()
    assert (await client.request("GET", f"http://127.0.0.1:{{port}}/")).body == b"hi"
    server.close()
    try:
        await client.request("GET", "http://127.0.0.1:9/")
    except HttpError as error:
        assert error.code == "E_CONNECTION"
    await client.close()

async def tls():
    late_ssl.enable()
    import ssl
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain({certificate!r}, {key!r})
    server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=context)
    port = server.sockets[0].getsockname()[1]
    client = HttpClient(HttpSettings(ca_file={authority!r}))
    for _ in range(2):
        assert (await client.request("GET", f"https://localhost:{{port}}/")).body == b"hi"
    await client.close()
    stranger = HttpClient()
    try:
        await stranger.request("GET", f"https://localhost:{{port}}/")
    except HttpError as error:
        assert error.code == "E_TLS"
    else:
        raise AssertionError
    await stranger.close()
    server.close()

asyncio.run(plain())
assert "ssl" not in sys.modules and "_ssl" not in sys.modules and not prepared, prepared
asyncio.run(tls())
assert prepared and not any(prepared), prepared
print("ok")
"""


def test_ssl_is_loaded_for_tls_only(tmp_path: Path) -> None:
    made = certificates.make(tmp_path)
    code = SCENARIO.format(
        path=[str(ROOT / "src"), *filter(None, sys.path)],
        certificate=str(made.certificate),
        key=str(made.key),
        authority=str(made.ca),
    )
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, timeout=60
    )
    assert (done.stdout, done.stderr) == ("ok\n", "")
