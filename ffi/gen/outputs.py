"""Which file is made by which emitter."""

from __future__ import annotations

from pathlib import Path

from . import c_headers, c_operations, c_tables, lua, lua_types, python, reference
from .model import Api


def outputs(api: Api) -> dict[str, str]:
    """Every generated file's text by its path from the project's root."""
    made = {
        "ffi/include/matrix/status.gen.h": c_headers.status_header(api),
        "ffi/include/matrix/records.gen.h": c_headers.records_header(api),
        "ffi/include/matrix/operations.gen.h": c_operations.operations_header(api),
        "ffi/core/tables.gen.h": c_tables.tables_header(api),
        "ffi/core/tables.gen.c": c_tables.tables_source(api),
        "ffi/core/operations.gen.c": c_operations.operations_source(api),
        "ffi/core/records.gen.c": c_operations.records_source(api),
        "lua/operations.gen.lua": lua.table(api),
        "lua/types/matrix.gen.lua": lua_types.types(api),
        "src/libmatrix/table_gen.py": python.table(api),
    }
    for name, text in reference.pages(api).items():
        made[f"docs/reference/{name}"] = text
    return made


# Where generated files may be; anything there that no emitter makes is left over.
PATTERNS = (
    "ffi/**/*.gen.*",
    "lua/**/*.gen.*",
    "docs/**/*.gen.*",
    "src/libmatrix/**/*_gen.py",
)


def differences(root: Path, made: dict[str, str]) -> list[str]:
    """The paths whose files are missing, out of date or left over."""
    wrong = [path for path, text in made.items() if _read(root / path) != text]
    for pattern in PATTERNS:
        present = (path.relative_to(root).as_posix() for path in root.glob(pattern))
        wrong += [path for path in present if path not in made]
    return sorted(wrong)


def write(root: Path, made: dict[str, str]) -> list[str]:
    """Writes what differs and removes what is left over; the paths it touched."""
    touched = differences(root, made)
    for path in touched:
        target = root / path
        if path in made:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(made[path], "utf-8")
        else:
            target.unlink()
    return touched


def _read(path: Path) -> str | None:
    return path.read_text("utf-8") if path.is_file() else None
