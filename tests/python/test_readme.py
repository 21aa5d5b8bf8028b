"""What README.md and the guides show is what runs: their listings are files in examples/."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
LISTING = re.compile(r"```(?:c|lua|fennel)\n(.*?)```", re.DOTALL)
README = (ROOT / "README.md").read_text()


@pytest.mark.parametrize("name", ["hello.c", "hello.lua", "hello.fnl", "frame_loop.lua"])
def test_listing_is_the_example(name: str) -> None:
    assert (ROOT / "examples" / name).read_text() in LISTING.findall(README)


@pytest.mark.parametrize(
    ("page", "example"), [("first-bot", "bot.lua"), ("game-loop", "love/main.lua")]
)
def test_guide_quotes_its_example(page: str, example: str) -> None:
    code = (ROOT / "examples" / example).read_text()
    listings = LISTING.findall((ROOT / "docs" / f"{page}.md").read_text())
    assert len(listings) > 4
    for listing in listings:
        assert listing in code


def test_links_lead_somewhere() -> None:
    pages = (ROOT / "README.md", ROOT / "examples/README.md", *(ROOT / "docs").glob("*.md"))
    for page in pages:
        prose = re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)
        for link in re.findall(r"\]\((?!https?:|#)([^)#]+)", prose):
            assert (page.parent / link).exists(), f"{page.name}: {link}"
