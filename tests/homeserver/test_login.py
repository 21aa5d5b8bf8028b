"""Every way to log in, from C, Lua and Fennel, against a real homeserver or what is before it."""

from __future__ import annotations

import contextlib
import os
import secrets
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.lua.interpreters import HERE as SPECS
from tests.lua.interpreters import environment
from tests.support.certificates import Authority
from tests.support.homeserver import Account, Homeserver
from tests.support.issuer import Issuer, browse
from tests.support.scenario import LUA_5_4, TESTS
from tests.support.sso import SingleSignOn
from tests.support.world import World

pytestmark = [
    pytest.mark.homeserver,
    pytest.mark.skipif("MATRIX_TEST_HOMESERVER" in os.environ, reason="not our own homeserver"),
]

Way = Callable[..., None]


@pytest.fixture(params=["c", "homeserver/lua/login.lua", "fennel/login.fnl"])
def command(
    request: pytest.FixtureRequest, compile_host: Callable[[str], Path]
) -> list[str | Path]:
    """The program that logs in one way, in each language."""
    if request.param == "c":
        return [compile_host("login")]
    return [LUA_5_4.program, SPECS / "run.lua", TESTS / request.param]


@pytest.fixture
def way(command: list[str | Path], stage: Path, homeserver: Homeserver) -> Way:
    """`way(name, NAME=value, …)` logs in that way, with these variables; `open_url` browses."""

    def run(name: str, open_url: Callable[[str], object] = browse, **given: str) -> None:
        variables = {"MATRIX_HOMESERVER": homeserver.url, "MATRIX_WAY": name} | {
            f"MATRIX_{key}": value for key, value in given.items()
        }
        with subprocess.Popen(
            command,
            env=environment(stage, LUA_5_4.abi) | variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            assert process.stdout is not None and process.stderr is not None
            lines = []
            for line in process.stdout:
                lines.append(line.strip())
                if lines[-1].startswith("open "):
                    open_url(lines[-1].removeprefix("open "))
            problem = process.stderr.read()
        assert (process.returncode, problem) == (0, ""), lines
        assert lines[-1] == "done" or lines[-1].startswith("1 tests, 0 failed"), lines

    return run


def credentials(account: Account) -> dict[str, str]:
    return {
        "USER": account.user, "PASSWORD": account.password, "USER_ID": account.user_id
    }  # fmt: skip


def test_flows(way: Way) -> None:
    way("flows")


@pytest.mark.parametrize("name", ["register", "register_with_token"])
def test_registration(way: Way, homeserver: Homeserver, name: str) -> None:
    user = f"user-{secrets.token_hex(6)}"
    way(name, USER=user, TOKEN=homeserver.registration_token())


def test_login_token(way: Way, homeserver: Homeserver, account: Account) -> None:
    way("token", TOKEN=homeserver.login_token(account), USER_ID=account.user_id)


def test_email(way: Way, homeserver: Homeserver, account: Account) -> None:
    address = f"{secrets.token_hex(6)}@example.org"
    homeserver.add_email(account, address)
    way("email", **credentials(account) | {"USER": address})


def test_session(way: Way, account: Account) -> None:
    way("session", **credentials(account))


def test_sealed_store(way: Way, account: Account, tmp_path: Path) -> None:
    way("sealed", STORE=str(tmp_path / "store"), **credentials(account))


def test_single_sign_on(way: Way, homeserver: Homeserver, account: Account) -> None:
    with SingleSignOn(homeserver, account) as front:
        way("sso", HOMESERVER=front.url, USER_ID=account.user_id)
        assert front.providers == ["ours"]


def test_oauth(way: Way) -> None:
    with Issuer() as issuer:
        way("oauth", issuer.approve, HOMESERVER=issuer.url)
        assert len(issuer.revoked) == 4


def test_discovery(way: Way, homeserver: Homeserver, account: Account, tmp_path: Path) -> None:
    """From a server name by its well-known file, both over TLS, to the homeserver."""
    authority = Authority(tmp_path, "ours")
    with World(authority.server("DNS:example.test,DNS:*.example.test")) as world:
        parts = urlsplit(homeserver.url)
        assert parts.hostname is not None and parts.port is not None
        world.relays["matrix.example.test"] = (parts.hostname, parts.port)
        base_url = "https://matrix.example.test"
        found = {"m.homeserver": {"base_url": base_url}}
        world.pages["example.test/.well-known/matrix/client"] = found
        way(
            "discovery",
            HOMESERVER="example.test",
            PROXY=world.proxy,
            CA_FILE=str(authority.file),
            BASE_URL=base_url,
            **credentials(account),
        )


@contextlib.contextmanager
def held(program: Path, store: Path) -> Iterator[None]:
    """Another process has the store open."""
    with subprocess.Popen(
        [program, store, "hold"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None and process.stdout is not None
        assert process.stdout.readline() == "open\n"
        yield
        process.stdin.close()
        assert process.wait(20) == 0


def test_two_processes_on_one_store(compile_host: Callable[..., Path], tmp_path: Path) -> None:
    program = compile_host("locked_store")
    command = [program, tmp_path / "store"]
    with held(program, tmp_path / "store"):
        assert subprocess.check_output(command, text=True, timeout=60) == "E_STORE_LOCKED\n"
    assert subprocess.check_output(command, text=True, timeout=60) == "open\n"
