"""The lint finds operations without handler, test or page, and cannot be fooled."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from ffi.gen import coverage
from ffi.gen.model import Api, Area, ErrorCode, Operation, Options

NOTHING = Options("context", "Nothing.", ())


def listed(*operations: tuple[str, str]) -> Api:
    """A list of operations, each given as area and name."""
    areas: dict[str, list[Operation]] = {}
    for area, name in operations:
        made = Operation(area, name, "0.1", "Does.", "", (), (), (), (), ())
        areas.setdefault(area, []).append(made)
    listed_areas = tuple(Area(name, tuple(items)) for name, items in areas.items())
    return Api({}, {}, {}, (), NOTHING, NOTHING, listed_areas, {})


def write(root: Path, path: str, text: str) -> None:
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_text(text, "utf-8")


HANDLERS = "src/libmatrix/operations"


def test_handlers_that_fit(tmp_path: Path) -> None:
    write(tmp_path, f"{HANDLERS}/__init__.py", "async def anything(): ...\n")
    write(tmp_path, f"{HANDLERS}/_shared.py", "async def helper(): ...\n")
    text = "async def probe_it(): ...\nasync def _helper(): ...\ndef plain(): ...\n"
    write(tmp_path, f"{HANDLERS}/probes.py", text)
    assert coverage.handler_gaps(tmp_path, listed(("probes", "probe_it"))) == []


@pytest.mark.parametrize(
    "text",
    [
        "",
        "def probe_it(): ...\n",
        "# async def probe_it(): ...\n",
        '"""async def probe_it(): ..."""\n',
        "class Probes:\n    async def probe_it(self): ...\n",
        "def make():\n    async def probe_it(): ...\n",
        "from .other import probe_it\n",
    ],
)
def test_missing_handler(tmp_path: Path, text: str) -> None:
    write(tmp_path, f"{HANDLERS}/probes.py", text)
    gaps = coverage.handler_gaps(tmp_path, listed(("probes", "probe_it")))
    assert gaps == [f"{HANDLERS}/probes.py: no 'async def probe_it'"]


def test_missing_module(tmp_path: Path) -> None:
    gaps = coverage.handler_gaps(tmp_path, listed(("probes", "probe_it")))
    assert gaps == [f"{HANDLERS}/probes.py: no 'async def probe_it'"]


def test_handler_without_entry(tmp_path: Path) -> None:
    write(tmp_path, f"{HANDLERS}/probes.py", "async def probe_it(): ...\nasync def more(): ...\n")
    gaps = coverage.handler_gaps(tmp_path, listed(("probes", "probe_it")))
    assert gaps == [f"{HANDLERS}/probes.py: more is not in the list"]


def test_handler_in_the_wrong_area(tmp_path: Path) -> None:
    write(tmp_path, f"{HANDLERS}/probes.py", "")
    write(tmp_path, f"{HANDLERS}/others.py", "async def probe_it(): ...\nasync def other(): ...\n")
    gaps = coverage.handler_gaps(tmp_path, listed(("probes", "probe_it"), ("others", "other")))
    assert gaps == [
        f"{HANDLERS}/probes.py: no 'async def probe_it'",
        f"{HANDLERS}/others.py: probe_it is not in the list",
    ]


def test_module_without_area(tmp_path: Path) -> None:
    write(tmp_path, f"{HANDLERS}/others.py", "async def other(): ...\n")
    gaps = coverage.handler_gaps(tmp_path, listed())
    assert gaps == [f"{HANDLERS}/others.py: ffi/api has no area of this name"]


CALLS = {
    "probe.c": "int main(void) { return matrix_probe_it(client, NULL, NULL, NULL, NULL); }",
    "probe.lua": "client:probe_it({}, print)",
    "table.lua": "client:probe_it { limit = 1 }",
    "probe.fnl": "(client:probe-it {} print)",
    "method.fnl": "(: client :probe-it {} print)",
    "test_probe.py": "CODE = 'client:probe_it(print)'",
}


@pytest.mark.parametrize("name", CALLS)
def test_a_call_counts(tmp_path: Path, name: str) -> None:
    write(tmp_path, f"tests/some/{name}", CALLS[name])
    assert coverage.test_gaps(tmp_path, listed(("probes", "probe_it"))) == []


NO_CALLS = {
    "tests/probe.gen.c": "int x = matrix_probe_it(client);",
    "tests/probe.gen.lua": "client:probe_it()",
    "tests/test_generator.py": "CODE = 'client:probe_it()'",
    "tests/comment.c": "/* matrix_probe_it(client) */ // matrix_probe_it(client)",
    "tests/comment.lua": "-- client:probe_it()\n--[[ client:probe_it() ]]",
    "tests/comment.fnl": ";; (client:probe-it)",
    "tests/comment.py": "# client:probe_it()\n",
    "tests/docstring.py": '"""Calls client:probe_it()."""\n',
    "tests/handler.py": "await client_probe_it()\n",
    "tests/other.c": "matrix_probe_it_again(client); my_matrix_probe_it(client);",
    "tests/other.lua": "client:probe_it_again() ; f(probe_it)",
    "tests/other.fnl": "(client:probe-it-again) (print :probe-it)",
    "tests/probe.md": "client:probe_it()",
    "examples/probe.lua": "client:probe_it()",
    "ffi/core/operations.gen.c": "matrix_probe_it(client);",
}


@pytest.mark.parametrize("path", NO_CALLS)
def test_what_is_no_call(tmp_path: Path, path: str) -> None:
    write(tmp_path, path, NO_CALLS[path])
    (tmp_path / "tests").mkdir(exist_ok=True)
    (gap,) = coverage.test_gaps(tmp_path, listed(("probes", "probe_it")))
    assert gap.startswith("tests: no test calls probe_it ")


def test_page(tmp_path: Path) -> None:
    api = listed(("probes", "probe_it"))
    page = "docs/reference/probes.gen.md"
    assert coverage.page_gaps(tmp_path, api) == [f"{page}: no section probe_it"]
    write(tmp_path, page, "# Probes\n\n### probe_it\n\n## probe_it_again\n")
    assert coverage.page_gaps(tmp_path, api) == [f"{page}: no section probe_it"]
    write(tmp_path, page, "# Probes\n\n## probe_it\n\nDoes.\n")
    assert coverage.page_gaps(tmp_path, api) == []


def test_error_codes(tmp_path: Path) -> None:
    api = replace(listed(), errors={"E_KNOWN": ErrorCode("E_KNOWN", -1, "Known.")})
    write(tmp_path, "src/libmatrix/deep/probe.py", "KNOWN = 'E_KNOWN'\nCODE = 'E_NEW_ONE'\n")
    write(tmp_path, "src/libmatrix/table_gen.py", "CODE = 'E_OLD'\n")
    write(tmp_path, "ffi/core/probe.c", 'text = "{\\"code\\":\\"E_ESCAPED\\"}"; prefix = "E_";')
    write(tmp_path, "ffi/core/tables.gen.c", '"E_OLD"')
    write(tmp_path, "lua/probe.lua", "raise 'E_FROM_LUA'")
    assert coverage.code_gaps(tmp_path, api) == [
        "ffi/core/probe.c: ffi/api/errors.toml has no E_ESCAPED",
        "lua/probe.lua: ffi/api/errors.toml has no E_FROM_LUA",
        "src/libmatrix/deep/probe.py: ffi/api/errors.toml has no E_NEW_ONE",
    ]
