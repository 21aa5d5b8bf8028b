"""What README.md and the guides show is what runs: their listings are files in examples/."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from tests.support.scenario import LUA_5_4

ROOT = Path(__file__).parent.parent.parent
LISTING = re.compile(r"```(?:c|lua|fennel)\n(.*?)```", re.DOTALL)
README = (ROOT / "README.md").read_text()


@pytest.mark.parametrize("name", ["hello.c", "hello.lua", "hello.fnl", "frame_loop.lua"])
def test_listing_is_the_example(name: str) -> None:
    assert (ROOT / "examples" / name).read_text() in LISTING.findall(README)


def pieces(page: str) -> list[str]:
    """The listings of a guide."""
    found = LISTING.findall((ROOT / "docs" / f"{page}.md").read_text())
    assert len(found) > 4
    return found


def test_bot_is_the_pieces_of_its_guide() -> None:
    bot = (ROOT / "examples" / "bot.lua").read_text()
    assert "\n".join(pieces("first-bot")) == bot[bot.index("local matrix") :]


def test_game_is_more_than_the_pieces_of_its_guide() -> None:
    game = (ROOT / "examples" / "love" / "main.lua").read_text()
    shown = pieces("game-loop")
    for piece in shown:
        assert piece in game
    parse = [LUA_5_4.program, "-e", "assert(load(io.read('a')))"]
    done = subprocess.run(
        parse, input="\n".join(shown), capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_links_lead_somewhere() -> None:
    pages = (ROOT / "README.md", ROOT / "examples/README.md", *(ROOT / "docs").glob("*.md"))
    for page in pages:
        prose = re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)
        for link in re.findall(r"\]\((?!https?:|#)([^)#]+)", prose):
            assert (page.parent / link).exists(), f"{page.name}: {link}"
