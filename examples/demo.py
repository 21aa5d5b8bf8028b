"""What `make demo` shows: two users and three languages in one room of a real homeserver.

Starts Synapse, or uses the homeserver that `MATRIX_TEST_HOMESERVER` names with the accounts
`MATRIX_TEST_USER`, `MATRIX_TEST_PASSWORD`, `MATRIX_TEST_USER2` and `MATRIX_TEST_PASSWORD2`.
Each example logs in, syncs, lists its rooms, prints the messages it received and sends one; the
next one must have received it.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tests.support.homeserver import Account, Homeserver, homeserver  # noqa: E402

STAGE = Path(os.environ.get("MATRIX_STAGE", ROOT / "build" / "stage"))
EXAMPLES = ROOT / "examples"
SECONDS = 60
STEPS = 6
COMPILE = f'require("matrix").fennel().dofile("{EXAMPLES}/room_list.fnl")'


class DemoError(Exception):
    """An example did not do what it promises."""


@dataclass(frozen=True)
class Example:
    """A program, in which language it is, and how it is run."""

    language: str
    command: tuple[str, ...]


C = Example("C", (str(ROOT / "build" / "release" / "examples" / "room_list"),))
LUA = Example("Lua", ("lua5.4", str(EXAMPLES / "room_list.lua")))
FENNEL = Example("Fennel", ("lua5.4", "-e", COMPILE))


def step(number: int, text: str) -> None:
    """Says what comes next."""
    print(f"[{number}/{STEPS}] {text}", flush=True)


def show(text: str) -> None:
    """Prints something that belongs to the step."""
    print(f"      {text}", flush=True)


def run(example: Example, server: Homeserver, account: Account, room: str, send: str) -> str:
    """Runs an example as one user, shows what it prints as it comes, and gives it back."""
    environment = {
        **os.environ,
        "LUA_CPATH": f"{STAGE}/lib/lua/5.4/?.so;;",
        "MATRIX_HOMESERVER": server.url,
        "MATRIX_USER": account.user,
        "MATRIX_PASSWORD": account.password,
        "MATRIX_ROOM": room,
    }
    environment.pop("MATRIX_SEND", None)
    if send:
        environment["MATRIX_SEND"] = send
    process = subprocess.Popen(
        example.command,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    late = threading.Timer(SECONDS, process.kill)
    late.start()
    try:
        lines = []
        assert process.stdout
        for line in process.stdout:
            lines.append(line)
            show(line.rstrip())
        status = process.wait()
    finally:
        late.cancel()
        process.kill()
        process.wait()
    if status != 0:
        raise DemoError(f"the {example.language} example ended with status {status}")
    return "".join(lines)


def expect(output: str, example: Example, *texts: str) -> None:
    """Checks that the example printed all of these."""
    for text in texts:
        if text not in output:
            raise DemoError(f"the {example.language} example did not print {text!r}")
    show(f"{example.language}: ok")


def prepare(server: Homeserver, first: Account, second: Account) -> str:
    """Rooms of the first user, one of which the second is in too; gives that one's id."""
    shared = server.create_room(
        first, name="Tea", topic="Two users, three languages", invite=[second.user_id]
    )
    server.join(second, shared)
    server.create_room(first, name="Garden")
    server.create_room(second, name="Workshop")
    return shared


def talk(server: Homeserver, first: Account, second: Account, room: str) -> None:
    """Each example reads what the one before it wrote."""
    turns = (
        (C, first, "Garden", "", "hello from C"),
        (LUA, second, "Workshop", "hello from C", "hello from Lua"),
        (FENNEL, first, "Garden", "hello from Lua", "hello from Fennel"),
        (C, second, "Workshop", "hello from Fennel", ""),
    )
    for number, (example, account, own_room, received, send) in enumerate(turns, 3):
        what = f"sends “{send}”" if send else "reads the last message"
        step(number, f"{example.language} as {account.user_id} {what}")
        output = run(example, server, account, room, send)
        expect(output, example, "Tea", own_room, received)


def accounts(server: Homeserver) -> tuple[Account, Account]:
    """Alice and Bob on a homeserver of our own, else who the environment names."""
    if server.is_own:
        return server.register("alice"), server.register("bob")
    return server.account(), server.account()


def demo(folder: Path) -> None:
    """All steps; raises when one does not do what it should."""
    own = not os.environ.get("MATRIX_TEST_HOMESERVER")
    step(1, "starting Synapse" if own else "using the homeserver of the environment")
    with homeserver(folder, tls=False) as server:
        show(server.url)
        step(2, "two users and their rooms")
        first, second = accounts(server)
        room = prepare(server, first, second)
        show(f"{first.user_id} and {second.user_id} in {room}")
        talk(server, first, second, room)


def main() -> int:
    """0 when everything worked; Ctrl-C and SIGTERM stop all that was started."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    try:
        with tempfile.TemporaryDirectory(prefix="libmatrix-demo-") as folder:
            demo(Path(folder))
    except KeyboardInterrupt:
        print("demo: stopped", file=sys.stderr)
        return 130
    except (DemoError, OSError, RuntimeError) as error:
        print(f"demo: failed: {error}", file=sys.stderr)
        return 1
    print("demo: ok")
    return 0


if __name__ == "__main__":
    sys.exit(main())
