"""TLS: exactly the authorities that were asked for, always checked."""

from __future__ import annotations

import asyncio
import os
import ssl
import subprocess
import sys
import textwrap
from pathlib import Path

import certifi
import pytest

from libmatrix.http import trust as http_trust
from libmatrix.http.client import (
    HttpArgumentError,
    HttpClient,
    HttpConnectionError,
    HttpError,
    HttpSettings,
    HttpTimeoutError,
    HttpTlsError,
)
from tests.support import http_servers
from tests.support.certificates import Authority
from tests.support.http_servers import answering, ask, raw, run, serve, until
from tests.support.web_server import reply

LOOPBACK = "IP:127.0.0.1,IP:::1,DNS:localhost"


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("other"), "stranger")


async def refusal(url: str, **settings: object) -> HttpError:
    error = await http_servers.refusal(url, **settings)
    assert not error.sent
    return error


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_a_private_authority_is_trusted_when_named(authority: Authority, host: str) -> None:
    async def scenario() -> None:
        context = authority.server(LOOPBACK)
        async with answering(reply(200, b"safe"), host=host, tls=context) as server:
            client = HttpClient(HttpSettings(ca_file=str(authority.file)))
            for _ in range(3):
                assert (await client.request("GET", server.url)).body == b"safe"
            assert server.accepted == 1
            await client.close()
            await until(lambda: server.open == 0)

    run(scenario())


def test_a_certificate_may_name_the_host(authority: Authority) -> None:
    async def scenario() -> None:
        async with answering(reply(200, b"safe"), tls=authority.server("DNS:localhost")) as server:
            url = f"https://localhost:{server.port}"
            assert await ask(url, ca_file=str(authority.file)) == b"safe"

    run(scenario())


@pytest.mark.parametrize(
    ("names", "days", "words"),
    [
        (LOOPBACK, -1, "expired"),
        ("DNS:elsewhere.example", 30, "IP address mismatch"),
        ("IP:127.0.0.2", 30, "IP address mismatch"),
    ],
)
def test_a_wrong_certificate_is_refused(
    authority: Authority, names: str, days: int, words: str
) -> None:
    async def scenario() -> None:
        async with answering(reply(), tls=authority.server(names, days)) as server:
            error = await refusal(server.url, ca_file=str(authority.file))
            assert isinstance(error, HttpTlsError)
            assert words in str(error)
            assert not server.requests

    run(scenario())


def test_a_wrong_host_name_is_refused(authority: Authority) -> None:
    async def scenario() -> None:
        async with answering(reply(), tls=authority.server("DNS:elsewhere.example")) as server:
            url = f"https://localhost:{server.port}"
            error = await refusal(url, ca_file=str(authority.file))
            assert isinstance(error, HttpTlsError)
            assert "Hostname mismatch" in str(error)

    run(scenario())


def test_a_stranger_is_refused_whoever_else_is_trusted(
    authority: Authority, stranger: Authority
) -> None:
    async def scenario() -> None:
        async with answering(reply(), tls=stranger.server(LOOPBACK)) as server:
            for ca_file in (str(authority.file), None):
                error = await refusal(server.url, ca_file=ca_file)
                assert isinstance(error, HttpTlsError)
                assert "certificate refused" in str(error)

    run(scenario())


def test_a_ca_file_replaces_the_system(authority: Authority) -> None:
    context = http_trust.tls_context(http_trust.find_trust(str(authority.file), {}))
    assert len(context.get_ca_certs()) == 1
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname


def test_clients_of_one_trust_share_the_context(authority: Authority) -> None:
    trust = http_trust.find_trust(str(authority.file), {})
    assert http_trust.tls_context(trust) is http_trust.tls_context(trust)


def test_a_replaced_ca_file_is_read_again(
    authority: Authority, stranger: Authority, tmp_path: Path
) -> None:
    file = tmp_path / "ca.pem"
    file.write_bytes(authority.file.read_bytes())
    trust = http_trust.find_trust(str(file), {})
    first = http_trust.tls_context(trust)
    file.write_bytes(stranger.file.read_bytes() + b"\n")
    assert http_trust.tls_context(trust).get_ca_certs() != first.get_ca_certs()


def test_the_order_of_trust(monkeypatch: pytest.MonkeyPatch, authority: Authority) -> None:
    file = str(authority.file)
    environment = {"SSL_CERT_FILE": file}
    assert str(http_trust.find_trust("/a.pem", environment)) == "ca_file: /a.pem"
    assert str(http_trust.find_trust(None, environment)) == f"environment: {file}"
    monkeypatch.setattr(http_trust, "SYSTEM_BUNDLES", ("/nowhere", file))
    assert str(http_trust.find_trust(None, {})) == f"system: {file}"
    monkeypatch.setattr(http_trust, "SYSTEM_BUNDLES", ("/nowhere",))
    assert str(http_trust.find_trust(None, {})) == f"certifi: {certifi.where()}"
    assert http_trust.tls_context(http_trust.find_trust(None, {})).get_ca_certs()


def test_the_environment_counts_only_when_asked(
    monkeypatch: pytest.MonkeyPatch, authority: Authority, tmp_path: Path
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
    monkeypatch.setenv("SSLKEYLOGFILE", str(tmp_path / "keys"))

    async def scenario() -> None:
        async with answering(reply(200, b"safe"), tls=authority.server(LOOPBACK)) as server:
            assert isinstance(await refusal(server.url), HttpTlsError)
            assert await ask(server.url, use_environment=True) == b"safe"

    run(scenario())
    assert not (tmp_path / "keys").exists()


def test_a_ca_file_without_certificates_is_named(tmp_path: Path) -> None:
    file = tmp_path / "empty.pem"
    file.write_text("nothing")
    error = run(refusal("https://127.0.0.1:1", ca_file=str(file)))
    assert error.code in ("E_CONNECTION", "E_TLS")
    with pytest.raises(HttpTlsError, match=r"empty\.pem: holds no certificate"):
        http_trust.tls_context(http_trust.find_trust(str(file), {}))


def test_a_ca_file_that_goes_away_is_named(authority: Authority, tmp_path: Path) -> None:
    async def scenario() -> None:
        file = tmp_path / "ca.pem"
        file.write_bytes(authority.file.read_bytes())
        async with answering(reply(), tls=authority.server(LOOPBACK)) as server:
            client = HttpClient(HttpSettings(ca_file=str(file)))
            file.unlink()
            with pytest.raises(HttpArgumentError, match="No such file"):
                await client.request("GET", server.url)
            await client.close()

    run(scenario())


def test_a_server_without_tls(authority: Authority) -> None:
    async def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(reply(400, b"this is plain HTTP"))
        await reader.read()

    async def scenario() -> None:
        async with serve(plain) as server:
            url = server.url.replace("http:", "https:")
            error = await refusal(url, ca_file=str(authority.file))
            assert isinstance(error, HttpTlsError)
            assert "WRONG_VERSION_NUMBER" in str(error)
            await until(lambda: server.open == 0)

    run(scenario())


def test_a_handshake_that_stalls_ends_with_the_connect_limit(authority: Authority) -> None:
    async def quiet(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await reader.read()
        await reader.read()

    async def scenario() -> None:
        async with serve(quiet) as server:
            url = server.url.replace("http:", "https:")
            error = await refusal(url, ca_file=str(authority.file), connect_timeout_ms=150)
            assert isinstance(error, HttpTimeoutError)
            assert "connecting" in str(error)
            await until(lambda: server.open == 0)

    run(scenario())


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
def test_old_tls_is_refused(authority: Authority) -> None:
    async def scenario() -> None:
        context = authority.server(LOOPBACK)
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = ssl.TLSVersion.TLSv1_1
        context.set_ciphers("ALL:@SECLEVEL=0")
        async with answering(reply(), tls=context) as server:
            error = await refusal(server.url, ca_file=str(authority.file))
            assert isinstance(error, HttpTlsError | HttpConnectionError)
            assert not server.requests

    run(scenario())


@pytest.mark.parametrize("end", ["close", "reset"])
def test_a_cut_within_the_answer(authority: Authority, end: str) -> None:
    async def scenario() -> None:
        head = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc"
        async with raw(head, end, tls=authority.server(LOOPBACK)) as server:
            client = HttpClient(HttpSettings(ca_file=str(authority.file)))
            with pytest.raises(HttpConnectionError) as caught:
                await client.request("GET", server.url)
            assert caught.value.sent
            await client.close()

    run(scenario())


EXIT = """
    import asyncio, ctypes, random, sys, threading
    from libmatrix.http.client import HttpClient, HttpSettings

    async def ask(url, ca_file):
        client = HttpClient(HttpSettings(ca_file=ca_file))
        async def often():
            while True:
                await client.request("GET", url)
                warm.set()
        await asyncio.gather(*[often() for _ in range(4)])

    warm = threading.Event()
    threading.Thread(target=lambda: asyncio.run(ask(*sys.argv[1:])), daemon=True).start()
    assert warm.wait(20)
    threading.Event().wait(random.random() / 50)
    ctypes.CDLL(None).exit(0)
"""


def test_exit_in_the_middle_of_requests(authority: Authority) -> None:
    async def scenario() -> None:
        async with answering(reply(200, b"x"), tls=authority.server(LOOPBACK)) as server:
            environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
            for _ in range(8):
                program = await asyncio.create_subprocess_exec(
                    sys.executable, "-c", textwrap.dedent(EXIT), server.url, str(authority.file),
                    env=environment, stderr=subprocess.PIPE,
                )  # fmt: skip
                _, errors = await program.communicate()
                assert (program.returncode, errors) == (0, b"")

    run(scenario(), 60)
