"""Every example of the reference runs, in C, in Lua and in Fennel, and ends as it should."""

from __future__ import annotations

import secrets
import subprocess
from pathlib import Path

import pytest

from ffi.gen import examples
from ffi.gen.__main__ import ROOT, read_list
from ffi.gen.model import Operation
from tests.lua.interpreters import INTERPRETERS, environment
from tests.reference import hosts
from tests.reference.hosts import Example
from tests.support.homeserver import Account, Homeserver

API = read_list(ROOT)

# What an example ends with, where it is not "ok": a plain homeserver, or nobody at the other end.
OUTCOMES = {
    "login_oauth": "M_UNRECOGNIZED",
    "login_oauth_device": "M_UNRECOGNIZED",
    "refresh_session": "E_INVALID_ARGUMENT",
    "forget_room": "M_UNKNOWN",
    "knock_room": "M_FORBIDDEN",
    "unban_user": "M_BAD_STATE",
    "read_cursor": "E_INVALID_HANDLE",
    "join_successor": "M_NOT_FOUND",
    "import_nio_store": "E_INVALID_ARGUMENT",
    "cancel_send": "E_INVALID_ARGUMENT",
    "request_verification": "E_INVALID_ARGUMENT",
    "accept_verification": "E_INVALID_ARGUMENT",
    "start_sas": "E_INVALID_ARGUMENT",
    "show_qr": "E_INVALID_ARGUMENT",
    "scan_qr": "E_INVALID_ARGUMENT",
    "confirm_verification": "E_INVALID_ARGUMENT",
    "mismatch_verification": "E_INVALID_ARGUMENT",
    "cancel_verification": "E_INVALID_ARGUMENT",
    "enable_backup": "E_BACKUP_UNTRUSTED",
    "upload_backup": "E_NO_BACKUP",
    "restore_backup": "E_NO_BACKUP",
    "restore_room_key": "E_NO_BACKUP",
    "share_room_key": "E_ENCRYPTION_UNSUPPORTED",
    "set_device_trust": "M_NOT_FOUND",
    "device_trust": "M_NOT_FOUND",
    "open_secret_storage": "E_RECOVERY_KEY",
    "verify_own_device": "E_RECOVERY_KEY",
    "put_secret": "E_MISSING_SECRET",
    "get_secret": "E_MISSING_SECRET",
    "request_secret": "E_MISSING_SECRET",
    "sign_user": "E_MISSING_SECRET",
    "sign_device": "E_MISSING_SECRET",
    "accept_identity": "E_NO_IDENTITY",
}
# They wait for a person; here the person changes their mind.
CANCELLED = frozenset({"login_sso"})
# They change a room so that it is of no use to others.
OWN_ROOM = frozenset(
    """leave_room forget_room redact kick_user ban_user invite_user enable_encryption
    set_history_visibility set_join_rule set_guest_access upgrade_room
    set_canonical_alias delete_room_alias set_directory_visibility add_space_parent""".split()
)
# They have to do with keys, of which the others need none.
ENCRYPTED = frozenset(
    {"encryption", "trust", "secrets", "backup", "keys", "verification", "devices"}
)
# They end what the other examples of the same user need.
OWN_ACCOUNT = frozenset({"delete_other_devices"})
# They are for a client that is not logged in.
LOGGED_OUT = frozenset(
    operation.name
    for operation in API.operations
    if operation.area in ("session", "sso", "oauth") and "E_NOT_LOGGED_IN" not in operation.errors
)

pytestmark = pytest.mark.homeserver


class Stage:
    """Two users and a room for the examples of one language."""

    def __init__(self, homeserver: Homeserver) -> None:
        self.homeserver = homeserver
        self.user, self.other = homeserver.account(), homeserver.account()
        self.stranger = homeserver.account().user_id
        self.server_name = self.user.user_id.split(":", 1)[1]
        self.shared = self.room()
        creation = {"type": "m.space"}
        self.space_id = homeserver.create_room(self.user, creation_content=creation)

    def room(self) -> dict[str, str]:
        localpart = f"tea-{secrets.token_hex(6)}"
        room_id = self.homeserver.create_room(
            self.user,
            preset="public_chat",
            name="Tea room",
            topic="It is hot.",
            room_alias_name=localpart,
            invite=[self.other.user_id],
        )
        self.homeserver.join(self.other, room_id)
        content = {"msgtype": "m.text", "body": "hello"}
        return {
            "room_id": room_id,
            "event_id": self.homeserver.send(self.user, room_id, "m.room.message", content),
            "#tea:example.org": f"#{localpart}:{self.server_name}",
        }

    def values(self, operation: Operation) -> dict[str, str | int]:
        room = self.room() if operation.name in OWN_ROOM else self.shared
        return {
            **room,
            "space_id": self.space_id,
            "@bob:example.org": self.other.user_id,
            "#hot-tea:example.org": f"#hot-{secrets.token_hex(6)}:{self.server_name}",
            "user": self.user_name(operation),
            **({"event_id": self.poll()} if operation.area == "polls" else {}),
            "user_id": self.stranger if operation.name == "invite_user" else self.other.user_id,
            "device_id": self.device().device_id,
            "cursor": 1,
            "session_id": "unknown",
            "verification_id": "unknown",
            "send_id": 1,
            "path": "nio.db",
            "data": "TUFUUklY",
            "passphrase": "correct horse",
            "recovery_key": "EsTc 5fKY DLJf kpD7 mLfw PjHK qEUS oXYX i1EB oSZU cKQb 2j4E",
            "secret": "hush",
            "master_key": "4F8Wk2vmJSfvxSXrrGJDdnIMYCPMbJf1DGKaZwTMPZs",
            "name": "Coffee room",
            "topic": "It is cold.",
            "password": self.user.password,
            "token": self.token(operation),
        }

    def poll(self) -> str:
        answers = [{"m.id": "1", "m.text": [{"body": "green"}]}]
        question = {"m.text": [{"body": "Which tea?"}]}
        content = {"m.poll": {"question": question, "answers": answers}}
        room_id = self.shared["room_id"]
        return self.homeserver.send(self.user, room_id, "m.poll.start", content)

    def user_name(self, operation: Operation) -> str:
        is_new = operation.name == "register_account"
        return f"bot-{secrets.token_hex(6)}" if is_new else self.user.user

    def token(self, operation: Operation) -> str:
        if operation.name == "register_account":
            return self.homeserver.registration_token()
        return self.homeserver.login_token(self.user) if operation.name == "login_token" else ""

    def example(self, operation: Operation) -> Example:
        client: dict[str, str | bool] = {"homeserver": self.homeserver.url}
        client["encryption"] = operation.area in ENCRYPTED
        values = self.values(operation)
        if operation.name in OWN_ACCOUNT:
            account = self.homeserver.account()
            values["password"] = account.password
            client["access_token"] = account.token
        elif operation.name not in LOGGED_OUT:
            client["access_token"] = self.device().token
        return Example(operation, client, values, operation.name in CANCELLED)

    def device(self) -> Account:
        return self.homeserver.login(self.user.user, self.user.password)


@pytest.mark.parametrize("language", ["c", "lua", "fnl"])
def test_examples(language: str, stage: Path, homeserver: Homeserver, tmp_path: Path) -> None:
    scene = Stage(homeserver)
    made = [scene.example(operation) for operation in API.operations]
    lua = INTERPRETERS[-2]
    if language == "c":
        command = [compile_program(hosts.c_program(made, API), stage, tmp_path)]
    elif language == "lua":
        (tmp_path / "examples.lua").write_text(hosts.lua_program(made, API))
        command = [lua.program, tmp_path / "examples.lua"]
    else:
        (tmp_path / "examples.fnl").write_text(hosts.fennel_program(made, API))
        run = f"require('matrix').fennel().dofile([[{tmp_path / 'examples.fnl'}]])"
        command = [lua.program, "-e", run]
    done = subprocess.run(
        command,
        env=environment(stage, lua.abi),
        # What they write.
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    found = dict(line.split(" ", 1) for line in done.stdout.splitlines())
    cancelled = dict.fromkeys(CANCELLED, "E_CANCELLED")
    wanted = {each.name: (OUTCOMES | cancelled).get(each.name, "ok") for each in API.operations}
    wrong = {name: (found.get(name), wanted[name]) for name in wanted}
    wrong = {name: pair for name, pair in wrong.items() if pair[0] != pair[1]}
    assert (done.returncode, done.stderr, wrong) == (0, "", {})


def compile_program(text: str, stage: Path, folder: Path) -> Path:
    source, program = folder / "examples.c", folder / "examples"
    source.write_text(text)
    command = ["cc", "-std=c11", "-Wall", "-Wextra", "-pedantic", "-Werror"]
    command += [f"-I{stage / 'include'}", str(source), f"-L{stage / 'lib'}", "-lmatrix"]
    command += [f"-Wl,-rpath,{stage / 'lib'}", "-o", str(program)]
    subprocess.run(command, check=True, timeout=120)
    return program


def test_pages_show_the_examples() -> None:
    """What is run is what is read."""
    for operation in API.operations:
        page = (ROOT / f"docs/reference/{operation.area}.gen.md").read_text("utf-8")
        assert "\n".join(["```c", *examples.c_lines(operation, API), "```"]) in page
        assert f"```lua\n{examples.lua_line(operation, API)}\n```" in page
        assert f"```fennel\n{examples.fennel_line(operation, API)}\n```" in page
