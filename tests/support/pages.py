"""What README.md and the pages of docs/ show: their listings."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGES = {path.stem: path for path in (ROOT / "README.md", *(ROOT / "docs").glob("*.md"))}


def listings(page: str, language: str) -> list[str]:
    """All of a page in one language, in order."""
    text = PAGES[page].read_text()
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


def languages(page: str) -> set[str]:
    """Of its listings."""
    return set(re.findall(r"^```(\w+)$", PAGES[page].read_text(), re.MULTILINE))


def listing(page: str, language: str, text: str) -> str:
    """The one that has this text."""
    [found] = [each for each in listings(page, language) if text in each]
    return found


def commands(page: str, text: str, *, prefix: Path | None = None) -> str:
    """The commands with this text; with `prefix` for the folder that pages install into."""
    found = listing(page, "sh", text)
    return found if prefix is None else found.replace("/opt/libmatrix", str(prefix))
