"""Whether each operation has coroutine, test and page, each coroutine and error code its entry."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from .model import Api, Operation
from .names import kebab

# Its examples of calls are no tests of an operation.
# Where error codes are written as text; C's MATRIX_E_ names are checked by the compiler.
SOURCES = ("src/libmatrix/**/*.py", "ffi/core/*.[ch]", "ffi/bridge/*.[chp]*", "lua/*.[cl]*")
CODE = re.compile(r"""["'](E_[A-Z0-9_]+)\\?["']""")
NOT_TESTS = re.compile(r"test_generator\w*\.py")
COMMENTS = {
    ".c": re.compile(r"/\*.*?\*/|//[^\n]*", re.DOTALL),
    ".h": re.compile(r"/\*.*?\*/|//[^\n]*", re.DOTALL),
    ".lua": re.compile(r"--\[\[.*?\]\]|--[^\n]*", re.DOTALL),
    ".fnl": re.compile(r";[^\n]*"),
}


def gaps(root: Path, api: Api) -> list[str]:
    """Everything that is missing or too much, one line each."""
    parts = (handler_gaps, test_gaps, page_gaps, code_gaps)
    return [gap for part in parts for gap in part(root, api)]


def handler_gaps(root: Path, api: Api) -> list[str]:
    """Entries without a coroutine, coroutines without an entry."""
    folder = root / "src/libmatrix/operations"
    problems = []
    for area in api.areas:
        path = folder / f"{area.name}.py"
        found = _coroutines(path) if path.is_file() else set()
        listed = {operation.name for operation in area.operations}
        place = path.relative_to(root).as_posix()
        problems += [f"{place}: no 'async def {name}'" for name in sorted(listed - found)]
        problems += [f"{place}: {name} is not in the list" for name in sorted(found - listed)]
    areas = {area.name for area in api.areas}
    for path in sorted(folder.glob("*.py")):
        if path.stem not in areas and not path.stem.startswith("_"):
            place = path.relative_to(root).as_posix()
            problems.append(f"{place}: ffi/api has no area of this name")
    return problems


def _coroutines(path: Path) -> set[str]:
    """The public coroutines a module defines itself, at its top."""
    tree = ast.parse(path.read_text("utf-8"))
    return {
        node.name
        for node in tree.body
        if isinstance(node, ast.AsyncFunctionDef) and not node.name.startswith("_")
    }


def test_gaps(root: Path, api: Api) -> list[str]:
    """Operations that no test calls from C, Lua or Fennel."""
    texts = list(_test_texts(root / "tests"))
    return [
        f"tests: no test calls {operation.name} (matrix_{operation.name}(, :{operation.name}( "
        f"or :{kebab(operation.name)})"
        for operation in api.operations
        if not any(_call(operation).search(text) for text in texts)
    ]


def _call(operation: Operation) -> re.Pattern[str]:
    """A call from C, from Lua, or from Fennel in either of its forms."""
    name, fennel = re.escape(operation.name), re.escape(kebab(operation.name))
    c = rf"\bmatrix_{name}\s*\("
    lua = rf"\w:{name}\s*[({{\"']"
    fennel_forms = rf"\([\w.-]+:{fennel}(?![\w-])|\(:\s+\S+\s+:{fennel}(?![\w-])"
    return re.compile(f"{c}|{lua}|{fennel_forms}")


def _test_texts(folder: Path) -> list[str]:
    """The code of every hand-written test, without comments; of Python only its strings."""
    texts = []
    for path in sorted(folder.rglob("*")):
        if ".gen." in path.name or NOT_TESTS.fullmatch(path.name) or not path.is_file():
            continue
        if path.suffix in COMMENTS:
            texts.append(COMMENTS[path.suffix].sub("", path.read_text("utf-8")))
        elif path.suffix == ".py":
            texts += _strings(path)
    return texts


def _strings(path: Path) -> list[str]:
    """The string literals of a Python file: code of other languages is in them. No docstrings."""
    tree = ast.parse(path.read_text("utf-8"))
    prose = {
        id(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    return [
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in prose
    ]


def page_gaps(root: Path, api: Api) -> list[str]:
    """Operations the reference does not describe."""
    problems = []
    for operation in api.operations:
        path = root / f"docs/reference/{operation.area}.gen.md"
        text = path.read_text("utf-8") if path.is_file() else ""
        if f"\n## {operation.name}\n" not in text:
            problems.append(f"{path.relative_to(root).as_posix()}: no section {operation.name}")
    return problems


def code_gaps(root: Path, api: Api) -> list[str]:
    """Error codes in the sources that the list does not have."""
    problems = []
    for path in sorted(each for pattern in SOURCES for each in root.glob(pattern)):
        if ".gen." in path.name or path.stem.endswith("_gen"):
            continue
        found = set(CODE.findall(path.read_text("utf-8"))) - set(api.errors)
        place = path.relative_to(root).as_posix()
        problems += [f"{place}: ffi/api/errors.toml has no {code}" for code in sorted(found)]
    return problems
