"""docs/internals.md says of every module of the runtime and of the core what it does."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "internals.md").read_text("utf-8")


def rows(heading: str) -> str:
    """The first cells of the table under a heading."""
    section = PAGE.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    return "\n".join(re.findall(r"^\| (.*?) \|", section, re.MULTILINE))


def modules() -> set[str]:
    source = ROOT / "src" / "libmatrix"
    found = (path.relative_to(source).as_posix() for path in source.rglob("*.py"))
    return {name for name in found if not name.endswith(("__init__.py", "_gen.py"))}


def test_every_module_of_the_runtime_is_told_of() -> None:
    inside, crypto = rows("Inside the runtime"), rows("Encryption")
    told = set(re.findall(r"`([\w/]+\.py)`", inside))
    told |= {f"crypto/{name}" for name in re.findall(r"`(\w+\.py)`", crypto)}
    folders = tuple(re.findall(r"`([\w/]+/)`", inside))
    assert not told - modules()
    missing = {name for name in modules() - told if not name.startswith(folders)}
    assert not missing


def test_every_file_of_the_core_is_told_of() -> None:
    core = {path.name for path in (ROOT / "ffi" / "core").glob("*.c")}
    told = set(re.findall(r"`(\w+\.c)`", rows("Inside the core")))
    assert told == {name for name in core if not name.endswith(".gen.c")}
