"""What README.md shows is what runs: its listings are the files in examples/."""

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


def test_links_lead_somewhere() -> None:
    for page in (ROOT / "README.md", *(ROOT / "docs").glob("*.md")):
        for link in re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text()):
            assert (page.parent / link).exists(), f"{page.name}: {link}"
