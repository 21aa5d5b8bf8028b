"""A host is killed while it makes an identity, a key backup and secret storage.

Whatever the homeserver has by then, the store has the secrets of, and all can be made again.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.lua.interpreters import INTERPRETERS, environment
from tests.support.between import LOST, between
from tests.support.encrypted import Talker, encrypted_room
from tests.support.homeserver import Account, Homeserver
from tests.support.runtime_host import RuntimeHost
from tests.support.scripted import Answer, Request

pytestmark = pytest.mark.homeserver
SCRIPT = Path(__file__).parent / "lua" / "making.lua"
LUA_5_4 = next(lua for lua in INTERPRETERS if lua.name == "lua5.4")
SECONDS = 60.0
IDENTITY, SIGNATURES = "/device_signing/upload", "/signatures/upload"
BACKUP, DEFAULT_KEY = "/room_keys/version", "/m.secret_storage.default_key"
SECRETS = ["m.cross_signing.master", "m.cross_signing.self_signing", "m.cross_signing.user_signing"]
HOLDS = ["holds_master_key", "holds_self_signing_key", "holds_user_signing_key"]


class Killer:
    """Kills the host at the nth request for a path, before it or after what it does is done."""

    def __init__(self, path: str, nth: int, *, is_before: bool) -> None:
        self._path, self._left, self._is_before = path, nth, is_before
        self.process: subprocess.Popen[str] | None = None

    def _kills(self, request: Request) -> bool:
        if request.method == "GET" or not request.path.endswith(self._path):
            return False
        self._left -= 1
        if self._left == 0:
            assert self.process is not None
            self.process.kill()
            self.process.wait()
        return self._left <= 0

    def before(self, request: Request) -> Answer | None:
        return LOST if self._is_before and self._kills(request) else None

    def after(self, request: Request, answer: Answer) -> Answer:
        if not self._is_before and answer.status == 200:
            self._kills(request)
        return answer

    def run(self, homeserver: Homeserver, stage: Path, account: Account, **env: str) -> None:
        """The host's life."""
        with between(homeserver.url, self.after, self.before) as proxy:
            more = {"MATRIX_HOMESERVER": proxy.url, "MATRIX_PASSWORD": account.password, **env}
            self.process = subprocess.Popen(
                [LUA_5_4.program, str(SCRIPT)],
                env=environment(stage, LUA_5_4.abi) | more,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
            said, _ = self.process.communicate(timeout=SECONDS)
        assert self.process.returncode == -9, said


@pytest.mark.parametrize(
    "path, nth, is_before",
    [
        (IDENTITY, 1, True),
        (IDENTITY, 1, False),
        (SIGNATURES, 1, False),
        (BACKUP, 1, True),
        (BACKUP, 1, False),
        (SECRETS[0], 1, False),
        (DEFAULT_KEY, 1, True),
        (DEFAULT_KEY, 1, False),
        (SECRETS[1], 2, False),
    ],
)
def test_what_was_published_was_kept(
    homeserver: Homeserver, stage: Path, tmp_path: Path, path: str, nth: int, is_before: bool
) -> None:
    account = homeserver.account()
    with RuntimeHost() as host:
        talker = Talker(host, homeserver, account, tmp_path)
        room_id = encrypted_room(homeserver, talker)
        talker.send(room_id, "to be read by other devices")
        talker.sync()
    killer = Killer(path, nth, is_before=is_before)
    killer.run(homeserver, stage, account, MATRIX_STORE=str(tmp_path))
    with RuntimeHost() as host:
        talker = Talker(host, homeserver, account, tmp_path)
        status = talker.call("cross_signing_status")
        has_identity = "master_key" in status
        assert has_identity is (path != IDENTITY or not is_before)
        assert [status[name] for name in HOLDS] == 3 * [has_identity]
        assert status["is_trusted"] is has_identity
        backup = talker.call("backup_state")
        assert backup["has_key"] is ("version" in backup)
        # Again, as if nothing had been.
        made = talker.call("bootstrap_cross_signing", password=account.password)
        assert made["is_new"] is not has_identity
        assert talker.call("cross_signing_status")["is_device_signed"]
        if "version" in backup:
            assert talker.call("enable_backup")["has_key"]
        else:
            talker.call("create_backup")
        talker.call("upload_backup")
        recovery_key = talker.call("create_secret_storage")["recovery_key"]
        other = Talker(host, homeserver, account)
        found = other.call("verify_own_device", recovery_key=recovery_key)
        assert found["master_key"] == made["master_key"]
        assert found["secrets"] == [*SECRETS, "m.megolm_backup.v1"]
        assert other.call("restore_backup")["imported_count"] == 1


@pytest.mark.parametrize(
    "path, nth, is_before",
    [("x.mine", 1, False), (DEFAULT_KEY, 1, True), (DEFAULT_KEY, 1, False), ("x.mine", 2, False)],
)
def test_what_only_the_old_storage_had_is_not_lost(
    homeserver: Homeserver, stage: Path, tmp_path: Path, path: str, nth: int, is_before: bool
) -> None:
    """From the moment the new key is the account's, nobody was told it when the host is killed."""
    account = homeserver.account()
    with RuntimeHost() as host:
        talker = Talker(host, homeserver, account, tmp_path)
        old_key = talker.call("create_secret_storage")["recovery_key"]
        talker.call("put_secret", name="x.mine", secret="a secret of somebody's")
        talker.sync()
        talker.sync()
    killer = Killer(path, nth, is_before=is_before)
    env = {"MATRIX_STORE": str(tmp_path), "MATRIX_OLD_KEY": old_key}
    killer.run(homeserver, stage, account, **env)
    with RuntimeHost() as host:
        talker = Talker(host, homeserver, account, tmp_path)
        opened = host.wait(host.submit(talker.client, "open_secret_storage", recovery_key=old_key))
        # Nobody else could say what it holds; a key that was told opens it, or it is taken over.
        is_changed = (path == DEFAULT_KEY and not is_before) or nth == 2
        assert opened.is_ok is not is_changed
        talker.call("bootstrap_cross_signing", password=account.password)
        new_key = talker.call("create_secret_storage")["recovery_key"]
        other = Talker(host, homeserver, account)
        other.call("open_secret_storage", recovery_key=new_key)
        assert other.call("get_secret", name="x.mine")["secret"] == "a secret of somebody's"
        assert other.call("verify_own_device", recovery_key=new_key)["secrets"][:3] == SECRETS
