"""Every way to log in, from Lua, against a real homeserver or what stands in front of it."""

from __future__ import annotations

import contextlib
import os
import secrets
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.lua.interpreters import INTERPRETERS, environment
from tests.support.homeserver import Account, Homeserver
from tests.support.issuer import Issuer, browse
from tests.support.sso import SingleSignOn

pytestmark = [
    pytest.mark.homeserver,
    pytest.mark.skipif("MATRIX_TEST_HOMESERVER" in os.environ, reason="not our own homeserver"),
]

LOGIN = Path(__file__).parent / "lua" / "login.lua"
LUA = next(lua for lua in INTERPRETERS if lua.name == "lua5.4")

Way = Callable[..., None]


@pytest.fixture
def way(stage: Path, homeserver: Homeserver) -> Way:
    """`way(name, NAME=value, …)` logs in that way, with these variables; `open_url` browses."""

    def run(name: str, open_url: Callable[[str], object] = browse, **given: str) -> None:
        variables = {"MATRIX_HOMESERVER": homeserver.url} | {
            f"MATRIX_{key}": value for key, value in given.items()
        }
        with subprocess.Popen(
            [LUA.program, LOGIN, name],
            env=environment(stage, LUA.abi) | variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            assert process.stdout is not None and process.stderr is not None
            last = ""
            for line in process.stdout:
                last = line.strip()
                if last.startswith("open "):
                    open_url(last.removeprefix("open "))
            problem = process.stderr.read()
        assert (process.returncode, problem, last) == (0, "", "done")

    return run


def credentials(account: Account) -> dict[str, str]:
    return {
        "USER": account.user, "PASSWORD": account.password, "USER_ID": account.user_id
    }  # fmt: skip


def test_flows(way: Way) -> None:
    way("flows")


@pytest.mark.parametrize("name", ["register", "register_with_token"])
def test_registration(way: Way, homeserver: Homeserver, name: str) -> None:
    user = f"lua-{secrets.token_hex(6)}"
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
