"""operations.gen.h and operations.gen.c: one typed function for each operation."""

from __future__ import annotations

from .c_common import GUARD_CHECK, call, parameters
from .model import Api, Enumeration, Field, Kind, Operation
from .text import C_BANNER, block_comment, lines, paragraph, quoted, spec_url, traits

PROSE = (
    "Each function submits one operation and returns at once: MATRIX_OK when it was accepted, "
    "else a negative status, and then the callback never runs (see REFUSALS). Any thread may "
    "call it.",
    "Required arguments come first; NULL for one is refused. `options` (NULL: the defaults) takes "
    "the keys listed as options; an unknown key or a wrong type is refused. Both are copied and "
    "stay the caller's. Arguments of the types json and list<> are JSON text, of a record a map, "
    "of bytes a pointer and a size; options of the type bytes are base64 text. What is marked "
    "secret is never logged.",
    "`callback` gets one reply in dispatch: the result as a map with the fields listed, or an "
    "error. NULL leaves the reply to matrix_wait(). `request` gets the request, for matrix_wait(), "
    "matrix_cancel() and matrix_set_progress_callback(); it may be NULL where there is a callback.",
    "Listed are the errors an operation is known for. Any may also end with the codes of the "
    "network and of the runtime (docs/reference/errors.gen.md) and with whatever else the "
    "homeserver says.",
)
RULE = 87


def operations_header(api: Api) -> str:
    """The typed functions, documented."""
    out = [*C_BANNER.splitlines(), "#ifndef MATRIX_OPERATIONS_GEN_H"]
    out += ["#define MATRIX_OPERATIONS_GEN_H", "", *GUARD_CHECK, "", "/*", " * OPERATIONS"]
    for text in PROSE:
        out += [" *", *(f" * {line}" for line in paragraph(text))]
    out.append(" */")
    for area in api.areas:
        out += ["", f"/* ---- {area.name} {'-' * (RULE - len(area.name))} */"]
        for operation in area.operations:
            out += ["", *block_comment(_documentation(operation, api.enums))]
            head = f"MATRIX_API matrix_status matrix_{operation.name}"
            out += call(head, _signature(operation), ";")
    return lines(out, ["", "#endif"])


def _signature(operation: Operation) -> list[str]:
    own = [parameter for field in operation.args for parameter in parameters(field)]
    return [
        "matrix_client client",
        *own,
        "matrix_map *options",
        "matrix_callback callback",
        "void *user_data",
        "matrix_request *request",
    ]


def _documentation(operation: Operation, enums: dict[str, Enumeration]) -> list[str]:
    out = paragraph(f"{operation.doc} Since {operation.since}.")
    if operation.spec:
        out.append(spec_url(operation.spec))
    sections = (
        ("Arguments:", operation.args, False),
        ("Options:", operation.options, True),
        ("Result:", operation.result, False),
        ("Progress:", operation.progress, False),
    )
    for title, fields, are_options in sections:
        if fields:
            out += ["", title]
        for field in fields:
            about = traits(field, is_option=are_options)
            text = f"{field.name} ({about}): {field.doc}{_values(field, enums)}"
            out += paragraph(text, "  ", "  ")
    if operation.errors:
        out += ["", *paragraph("Errors: " + ", ".join(operation.errors), "", "  ")]
    return out


def _values(field: Field, enums: dict[str, Enumeration]) -> str:
    if field.type.kind is not Kind.ENUM:
        return ""
    return "; one of " + ", ".join(enums[field.type.name].values)


def operations_source(api: Api) -> str:
    """The functions' bodies: arguments into a list, then the one way through."""
    out = [*C_BANNER.splitlines(), "#include <matrix/matrix.h>", ""]
    out += ['#include "submit.h"', '#include "tables.gen.h"']
    for operation in api.operations:
        head = call(f"matrix_status matrix_{operation.name}", _signature(operation), " {")
        out += ["", *head, *_body(operation), "}"]
    return lines(out)


def _body(operation: Operation) -> list[str]:
    table = f"&matrix_operations[OPERATION_{operation.name.upper()}]"
    passed = [table, "NULL", "options", "callback", "user_data", "request"]
    if not operation.args:
        return call("return core_submit", ["client", *passed], ";", "    ")
    passed[1] = "arguments"
    out = ["    const union core_argument arguments[] = {"]
    out += [f"        {{{_member(field)}}}," for field in operation.args]
    return [*out, "    };", "", *call("return core_submit", ["client", *passed], ";", "    ")]


def _member(field: Field) -> str:
    name = field.name
    return {
        Kind.BOOL: f".boolean = {name}",
        Kind.INT: f".integer = {name}",
        Kind.DOUBLE: f".number = {name}",
        Kind.BYTES: f".bytes = {{{name}, {name}_size}}",
        Kind.ENUM: f".integer = {name}",
        Kind.RECORD: f".map = {name}",
    }.get(field.type.kind, f".string = {name}")


def records_source(api: Api) -> str:
    """The typed readers of records and the texts of codes and enums."""
    out = [*C_BANNER.splitlines(), "#include <matrix/matrix.h>", ""]
    out += ['#include "records.h"', '#include "tables.gen.h"', ""]
    out += ["const char *matrix_status_string(matrix_status status) {", "    switch (status) {"]
    out += ["    case MATRIX_OK:", '        return "OK";']
    for error in api.errors.values():
        out += [f"    case MATRIX_{error.name}:", f"        return {quoted(error.name)};"]
    out += ["    }", '    return "E_UNKNOWN";', "}"]
    for enumeration in api.enums.values():
        out += ["", *_enum_string(enumeration)]
    for record in api.records.values():
        head = f"const matrix_{record.name} *matrix_reply_as_{record.name}"
        arguments = ["const matrix_reply *reply", "const matrix_value *value"]
        out += ["", *call(head, arguments, " {")]
        out += [f"    return core_record(reply, value, &matrix_record_{record.name});", "}"]
    return lines(out)


def _enum_string(enumeration: Enumeration) -> list[str]:
    name = enumeration.name
    head = call(f"const char *matrix_{name}_string", [f"matrix_{name} value"], " {")
    table = f"matrix_enum_{name}"
    return [
        *head,
        f"    if (value < 1 || (size_t)value > {table}.count) {{",
        '        return "unknown";',
        "    }",
        f"    return {table}.values[value - 1];",
        "}",
    ]
