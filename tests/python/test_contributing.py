"""What docs/contributing.md shows works: its entry, coroutine and test are tried in a copy."""

from __future__ import annotations

import asyncio
import re
import shutil
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec
import pytest

from ffi.gen import coverage
from ffi.gen.__main__ import read_list
from ffi.gen.outputs import outputs, write
from libmatrix import table_gen
from libmatrix.api import make_path

ROOT = Path(__file__).resolve().parents[2]
AREA = "ffi/api/rooms.toml"
HANDLERS = "src/libmatrix/operations/rooms.py"
SPEC = "tests/lua/spec/session.lua"


def listing(language: str) -> str:
    """The first listing in that language, of the worked example."""
    page = (ROOT / "docs/contributing.md").read_text("utf-8")
    example = page[page.index("## Adding an operation") :]
    found = re.search(rf"```{language}\n(.*?)```", example, re.DOTALL)
    assert found is not None
    return found[1]


def append(path: Path, text: str) -> None:
    path.write_text(path.read_text("utf-8") + "\n" + text, "utf-8")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of what the generator and the lint read."""
    for folder in ("ffi/api", "ffi/include", "src/libmatrix/operations", "tests", "lua"):
        ignored = shutil.ignore_patterns("__pycache__", "*.gen.*")
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=ignored)
    write(tmp_path, outputs(read_list(tmp_path)))
    return tmp_path


def missing(project: Path) -> list[str]:
    return [gap for gap in coverage.gaps(project, read_list(project)) if "publish_room" in gap]


def test_one_entry_one_coroutine_one_test(project: Path) -> None:
    append(project / AREA, listing("toml"))
    assert len(missing(project)) == 3
    write(project, outputs(read_list(project)))
    assert len(missing(project)) == 2
    append(project / HANDLERS, listing("python"))
    assert len(missing(project)) == 1
    append(project / SPEC, listing("lua"))
    assert missing(project) == []


class FakeApi:
    """Notes what it is asked for."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, str, Any]] = []

    async def call(self, method: str, path: str, *, body: Any) -> bytes:
        self.calls.append((method, path, body))
        return b"{}"


class FakeClient:
    """A client that is its way to the homeserver only."""

    def __init__(self) -> None:
        self.api = FakeApi()


def test_the_coroutine_runs(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    append(project / AREA, listing("toml"))
    made = outputs(read_list(project))["src/libmatrix/table_gen.py"]
    module = ModuleType("contributed_table")
    monkeypatch.setitem(sys.modules, module.__name__, module)  # msgspec looks there
    table = module.__dict__
    exec(compile(made, "table_gen.py", "exec"), table)
    scope = {**table, "Client": FakeClient, "make_path": make_path}
    exec(compile(listing("python"), "rooms.py", "exec"), scope)
    spec = table["OPERATIONS"]["publish_room"]
    body = b'{"room_id":"!a/b:c","visibility":"private"}'
    client = FakeClient()
    arguments = msgspec.json.decode(body, type=spec.arguments)
    result = asyncio.run(scope["publish_room"](client, arguments))
    path = "/_matrix/client/v3/directory/list/room/%21a%2Fb%3Ac"
    assert client.api.calls == [("PUT", path, {"visibility": "private"})]
    assert msgspec.json.encode(result) == b"{}"


def test_the_example_is_not_there_yet() -> None:
    assert "publish_room" not in table_gen.OPERATIONS
