"""Writes Lua files as one C source: `embed_lua.py OUTPUT FILE.lua…`."""

from __future__ import annotations

import sys
from pathlib import Path

HEAD = """/* The Lua half of the module, made by the build. */
#include "chunks.h"

"""


def array(name: str, data: bytes) -> str:
    """One file as a C array; string literals have a size limit in C11, arrays have none."""
    rows = [data[start : start + 20] for start in range(0, len(data), 20)]
    lines = "\n".join("    " + "".join(f"{byte}," for byte in row) for row in rows)
    return f"static const unsigned char {name}[] = {{\n{lines}\n    0}};\n"


def main() -> None:
    """Writes the arrays and the table that `chunks.h` declares."""
    output, files = Path(sys.argv[1]), [Path(name) for name in sys.argv[2:]]
    parts, rows = [HEAD], []
    for index, file in enumerate(sorted(files)):
        data = file.read_bytes()
        name = file.name.removesuffix(".lua").removesuffix(".gen")
        parts.append(array(f"chunk_{index}", data))
        rows.append(f'    {{"{name}", (const char *)chunk_{index}, {len(data)}}},\n')
    table = "".join(rows)
    parts.append(f"const struct matrix_chunk matrix_chunks[] = {{\n{table}    {{0, 0, 0}}}};\n")
    output.write_text("\n".join(parts), encoding="utf-8")


if __name__ == "__main__":
    main()
