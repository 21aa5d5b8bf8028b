"""What the emitters of C share: types and the layout clang-format would choose."""

from __future__ import annotations

from .model import Field, Kind
from .text import WIDTH

GUARD_CHECK = [
    "#ifndef MATRIX_MATRIX_H",
    '#error "include <matrix/matrix.h>"',
    "#endif",
]

PLAIN_TYPES = {
    Kind.BOOL: "bool ",
    Kind.INT: "int64_t ",
    Kind.DOUBLE: "double ",
    Kind.STRING: "const char *",
    Kind.BYTES: "const char *",
}


def parameters(field: Field) -> list[str]:
    """The parameters that a positional argument becomes."""
    kind = field.type.kind
    if kind is Kind.BYTES:
        return [f"const void *{field.name}", f"size_t {field.name}_size"]
    if kind in (Kind.JSON, Kind.LIST):
        return [f"const char *{field.name}"]
    if kind is Kind.RECORD:
        return [f"const matrix_map *{field.name}"]
    if kind is Kind.ENUM:
        return [f"matrix_{field.type.name} {field.name}"]
    return [f"{PLAIN_TYPES[kind]}{field.name}"]


def member_type(field: Field) -> str:
    """The type of a record's member, with what stands between it and the name."""
    if field.type.kind is Kind.ENUM:
        return f"matrix_{field.type.name} "
    return PLAIN_TYPES.get(field.type.kind, "const matrix_value *")


def has_flag(field: Field) -> bool:
    """Whether a member needs a bool beside it that says if it is there."""
    return not field.required and field.type.kind in (Kind.BOOL, Kind.INT, Kind.DOUBLE)


def call(start: str, arguments: list[str], end: str, indent: str = "") -> list[str]:
    """`start(arguments)end`, filled into lines that are aligned after the bracket."""
    lines: list[str] = []
    current = f"{indent}{start}("
    align = " " * len(current)
    for index, argument in enumerate(arguments):
        last = index == len(arguments) - 1
        piece = argument + (")" + end if last else ",")
        space = "" if current.endswith("(") or current == align else " "
        if len(current) + len(space) + len(piece) > WIDTH:
            lines.append(current)
            current, space = align, ""
        current += space + piece
    return [*lines, current]
