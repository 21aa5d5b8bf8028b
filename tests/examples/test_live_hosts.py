"""Programs that people would copy: a terminal, a window and an editor in a live room."""

from __future__ import annotations

import os
import select
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from tests.lua.interpreters import ROOT, environment
from tests.support.homeserver import Account, Homeserver

EXAMPLES = ROOT / "examples"
LONG = 60

pytestmark = pytest.mark.homeserver


class Room:
    """A room of two: the account that the example uses, and somebody else."""

    def __init__(self, homeserver: Homeserver, account: Account) -> None:
        self.homeserver, self.account, self.other = homeserver, account, homeserver.account()
        self.room_id = homeserver.create_room(self.other, preset="public_chat", name="Tea room")

    def variables(self) -> dict[str, str]:
        return {
            "MATRIX_HOMESERVER": self.homeserver.url,
            "MATRIX_USER": self.account.user,
            "MATRIX_PASSWORD": self.account.password,
            "MATRIX_ROOM": self.room_id,
        }

    def say(self, body: str, **content: Any) -> str:
        fields = {"msgtype": "m.text", "body": body, **content}
        return self.homeserver.send(self.other, self.room_id, "m.room.message", fields)

    def said(self) -> list[dict[str, Any]]:
        """What the example has sent, newest first."""
        path = f"/_matrix/client/v3/rooms/{quote(self.room_id)}/messages?dir=b&limit=50"
        events = self.homeserver.request("GET", path, self.other.token)["chunk"]
        mine = [event for event in events if event["sender"] == self.account.user_id]
        return [event for event in mine if event["type"] == "m.room.message"]

    def bodies(self) -> list[str]:
        return [event["content"]["body"] for event in self.said()]

    def has_joined(self) -> bool:
        path = f"/_matrix/client/v3/rooms/{quote(self.room_id)}/joined_members"
        return (
            self.account.user_id in self.homeserver.request("GET", path, self.other.token)["joined"]
        )


@pytest.fixture
def room(homeserver: Homeserver, account: Account) -> Room:
    return Room(homeserver, account)


def until(condition: Callable[[], Any], process: subprocess.Popen[Any]) -> Any:
    """Waits for a condition while a program runs; gives what came true."""
    end = time.monotonic() + LONG
    while not (found := condition()):
        assert process.poll() is None, f"ended with {process.returncode}"
        assert time.monotonic() < end, "did not happen"
        select.select([], [], [], 0.05)
    return found


@contextmanager
def running(command: list[str | Path], env: dict[str, str], **more: Any) -> Iterator[Any]:
    process = subprocess.Popen(command, env=env, text=True, **more)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


# -- the terminal ---------------------------------------------------------------------------------


def read_until(process: subprocess.Popen[str], text: str) -> str:
    """The output up to a text."""
    assert process.stdout is not None
    seen = b""
    end = time.monotonic() + LONG
    while text.encode() not in seen:
        ready, _, _ = select.select([process.stdout], [], [], max(0, end - time.monotonic()))
        piece = os.read(process.stdout.fileno(), 4096) if ready else b""
        assert piece, f"{text!r} did not come: {seen!r}"
        seen += piece
    return seen.decode()


def test_chat_in_a_terminal(compile_example: Callable[[str], Path], room: Room) -> None:
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    room.say("is it hot?")
    program = compile_example("chat")
    with running([program], {**os.environ, **room.variables()}, **pipes) as chat:
        read_until(chat, f"{room.other.user_id}: is it hot?\n")
        chat.stdin.write("very hot\nand sweet\n")
        chat.stdin.flush()
        until(lambda: room.bodies()[:2] == ["and sweet", "very hot"], chat)
        long = "tea " * 2000 + "é"
        chat.stdin.write(f"{long}\n")
        chat.stdin.flush()
        until(lambda: room.bodies()[:1] == [long], chat)
        room.say("it rings: \x1b[2J\x07")
        seen = read_until(chat, "it rings:  [2J \n")
        assert "\x1b" not in seen
        assert "very hot" not in seen, "what was typed is not shown again"
        room.say("it rings again: \u009b2J")
        assert "\u009b" not in read_until(chat, "it rings again:  2J\n")
        chat.stdin.write("last words\n/quit\n")
        chat.stdin.flush()
        assert chat.wait(LONG) == 0
    assert room.bodies()[0] == "last words"


def test_chat_says_why_it_ends(compile_example: Callable[[str], Path], room: Room) -> None:
    env = {**os.environ, **room.variables(), "MATRIX_PASSWORD": "wrong"}
    done = subprocess.run(
        [compile_example("chat")],
        env=env,
        capture_output=True,
        text=True,
        timeout=LONG,
        check=False,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("chat: Invalid")


@pytest.mark.parametrize("name", ["HOMESERVER", "USER", "PASSWORD", "ROOM"])
def test_chat_says_what_is_not_set(compile_example: Callable[[str], Path], name: str) -> None:
    env = {f"MATRIX_{each}": "x" for each in ("HOMESERVER", "USER", "PASSWORD", "ROOM")}
    del env[f"MATRIX_{name}"]
    program = compile_example("chat")
    done = subprocess.run([program], env=env, capture_output=True, timeout=LONG, check=False)
    assert (done.returncode, done.stderr) == (1, f"chat: MATRIX_{name} is not set\n".encode())


# -- a window -------------------------------------------------------------------------------------


@contextmanager
def screen() -> Iterator[str]:
    """A screen that nobody sees; gives its name."""
    ready, number = os.pipe()
    command = ["Xvfb", "-displayfd", str(number), "-screen", "0", "800x600x24", "-nolisten", "tcp"]
    with running([*command], {**os.environ}, pass_fds=[number], stderr=subprocess.DEVNULL):
        os.close(number)
        with os.fdopen(ready) as lines:
            yield f":{lines.readline().strip()}"


def test_love_shows_a_live_room(stage: Path, room: Room, tmp_path: Path) -> None:
    room.say("jump!")
    with screen() as display:
        env = environment(stage, "5.1") | room.variables()
        env |= {"DISPLAY": display, "SDL_AUDIODRIVER": "dummy", "HOME": str(tmp_path)}
        with running(["love", EXAMPLES / "love"], env) as love:
            until(room.has_joined, love)
            [window] = until(lambda: search(env), love)
            before = until(lambda: shot(window, env, tmp_path), love)
            room.say("higher, and then on until the window has to wrap this line of the room")
            until(lambda: differs(before, shot(window, env, tmp_path)), love)
            press(window, env, "type", "hop")
            press(window, env, "key", "Return")
            until(lambda: room.bodies()[:1] == ["hop"], love)
            press(window, env, "key", "Escape")
            assert love.wait(LONG) == 0


def search(env: dict[str, str]) -> list[str]:
    found = ["xdotool", "search", "--onlyvisible", "--name", "^A room$"]
    done = subprocess.run(found, env=env, capture_output=True, text=True, check=False)
    return done.stdout.split()


def press(window: str, env: dict[str, str], *keys: str) -> None:
    """There is no window manager: the window that is to hear the keys must be told first."""
    command = ["xdotool", "windowfocus", "--sync", window, *keys]
    subprocess.run(command, env=env, check=True, timeout=LONG)


def shot(window: str, env: dict[str, str], folder: Path) -> bytes:
    """The message lines of the window, a picture without the frame counter above them."""
    picture = folder / "room.png"
    command = ["import", "-window", window, "+set", "date", str(picture)]
    subprocess.run(command, env=env, check=True, timeout=LONG)
    crop = ["convert", str(picture), "-crop", "640x310+0+30", "rgb:-"]
    return subprocess.run(crop, capture_output=True, check=True, timeout=LONG).stdout


def differs(before: bytes, after: bytes) -> bool:
    """More than a cursor's worth of pixels."""
    return sum(a != b for a, b in zip(before, after, strict=True)) > 500


# -- an editor ------------------------------------------------------------------------------------


class Editor:
    """A Neovim without a screen, asked through its own socket."""

    def __init__(self, socket: Path) -> None:
        self.socket = socket

    def ask(self, expression: str) -> str:
        command = ["nvim", "--server", str(self.socket), "--remote-expr", expression]
        done = subprocess.run(command, capture_output=True, text=True, timeout=LONG, check=False)
        return done.stdout + done.stderr

    def command(self, text: str) -> None:
        self.ask(f"execute('{text}')")

    def virtual_text(self) -> str:
        space = "nvim_create_namespace('matrix')"
        marks = f"nvim_buf_get_extmarks(0,{space},0,-1,{{'details':v:true}})"
        return self.ask(f"json_encode({marks})")


def test_neovim_posts_and_shows_replies(stage: Path, room: Room, tmp_path: Path) -> None:
    text = tmp_path / "tea.txt"
    text.write_text("one\ntwo\nthree\n")
    editor = Editor(tmp_path / "nvim.sock")
    env = environment(stage, "5.1") | room.variables() | {"HOME": str(tmp_path)}
    command = ["nvim", "--headless", "-u", "NONE", "-i", "NONE", "--listen", editor.socket]
    command += [
        "--cmd",
        f"set runtimepath+={EXAMPLES / 'neovim'}",
        "--cmd",
        "runtime plugin/matrix.lua",
    ]
    assert shutil.which("nvim"), "neovim is missing; run make test-setup"
    quiet = {"stdin": subprocess.DEVNULL, "stderr": subprocess.PIPE, "stdout": subprocess.DEVNULL}
    with running([*command, text], env, **quiet) as nvim:
        until(lambda: editor.ask("line('$')").strip() == "3", nvim)
        editor.command("2,3MatrixPost")
        until(lambda: room.bodies()[:1] == ["two\nthree"], nvim)
        posted = room.said()[0]["event_id"]
        room.say("no reply")
        room.say("four", **{"m.relates_to": {"m.in_reply_to": {"event_id": posted}}})
        until(lambda: f"{room.other.user_id}: four" in editor.virtual_text(), nvim)
        assert "no reply" not in editor.virtual_text()
        editor.command("qall!")
        nvim.wait(LONG)


# -- a bot ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["lua", "fnl"])
def test_bot(
    kind: str, stage: Path, homeserver: Homeserver, account: Account, tmp_path: Path
) -> None:
    room = Room(homeserver, account)
    invited = homeserver.create_room(room.other, preset="private_chat", invite=[account.user_id])
    room.say("!echo before it came")
    room.room_id = invited
    env = environment(stage, "5.4") | room.variables() | {"MATRIX_STORE": str(tmp_path / "store")}
    file = EXAMPLES / f"bot.{kind}"
    run = f"require('matrix').fennel().dofile([[{file}]])"
    command = ["lua5.4", file] if kind == "lua" else ["lua5.4", "-e", run]
    for beginning in ("first", "with the session of before"):
        with running(command, env) as bot:
            until(room.has_joined, bot)
            asked = room.say(f"!echo {beginning} <b>")
            until(lambda said=beginning: room.bodies()[:1] == [f"{said} <b>"], bot)
            content = room.said()[0]["content"]
            assert content["msgtype"] == "m.notice"
            assert content["m.relates_to"]["m.in_reply_to"]["event_id"] == asked
            room.say("!roll 3d1")
            until(lambda: room.bodies()[:1] == ["3d1: 3"], bot)
            room.say("!roll the dice")
            until(lambda: room.bodies()[:1] == ["say !roll 2d6"], bot)
            room.say("!remind 1 stir the tea")
            until(lambda: room.bodies()[:2] == ["stir the tea", "in 1 s"], bot)
    devices = homeserver.request("GET", "/_matrix/client/v3/devices", account.token)["devices"]
    assert len(devices) == 2, "the second start used the session of the first"
