"""tables.gen.h and tables.gen.c: the list as the core checks calls and reads records by it."""

from __future__ import annotations

from .c_common import has_flag
from .model import Api, Enumeration, Event, Field, Kind, Operation, Record
from .text import C_BANNER, lines, quoted

FIELD_TYPES = {kind: f"FIELD_{kind.name}" for kind in Kind}


def tables_header(api: Api) -> str:
    """Declarations of the generated tables."""
    out = [*C_BANNER.splitlines(), "#ifndef MATRIX_CORE_TABLES_GEN_H"]
    out += ["#define MATRIX_CORE_TABLES_GEN_H", "", '#include "tables.h"', ""]
    out += ["/** Where an operation is in matrix_operations. */", "enum operation_index {"]
    out += [f"    OPERATION_{operation.name.upper()}," for operation in api.operations]
    out += ["    OPERATION_COUNT", "};", ""]
    out += [f"extern const struct enumeration matrix_enum_{name};" for name in api.enums]
    out += [""]
    out += [f"extern const struct record matrix_record_{name};" for name in api.records]
    return lines(out, ["", "#endif"])


def tables_source(api: Api) -> str:
    """Definitions of the generated tables."""
    out = [*C_BANNER.splitlines(), "/* clang-format off */"]
    out += ["#include <stddef.h>", "#include <stdint.h>", "", "#include <matrix/matrix.h>", ""]
    out += ['#include "tables.gen.h"', ""]
    for enumeration in api.enums.values():
        out += _enumeration(enumeration)
    for record in api.records.values():
        out += _record(record)
    for operation in api.operations:
        out += _fields(f"{operation.name}_arguments", operation.args)
        out += _fields(f"{operation.name}_options", operation.options)
    for event in api.events:
        out += _fields(f"{event.name}_filter", event.filter)
    for options in api.settings:
        items = f"{options.name}_options"
        out += _fields(items, options.fields)
        reference = _reference(items, options.fields)
        out += [f"const struct fields matrix_{items} = {reference};", ""]
    out += _operations(list(api.operations))
    out += _events(api.events)
    out += _errors(api)
    return lines(out)


def _enumeration(enumeration: Enumeration) -> list[str]:
    name = f"{enumeration.name}_values"
    values = ", ".join(map(quoted, enumeration.values))
    return [
        f"static const char *const {name}[] = {{{values}}};",
        f"const struct enumeration matrix_enum_{enumeration.name} = {{",
        f"    .name = {quoted(enumeration.name)}, .values = {name}, "
        f".count = {len(enumeration.values)}",
        "};",
        "",
    ]


def _record(record: Record) -> list[str]:
    name = f"{record.name}_fields"
    struct = f"matrix_{record.name}"
    return [
        *_fields(name, record.fields, struct),
        f"const struct record matrix_record_{record.name} = {{",
        f"    .name = {quoted(record.name)}, .fields = {_reference(name, record.fields)}, "
        f".size = sizeof({struct})",
        "};",
        "",
    ]


def _fields(name: str, fields: tuple[Field, ...], struct: str = "") -> list[str]:
    """The array of fields, nothing when there are none (C has no empty arrays)."""
    if not fields:
        return []
    out = [f"static const struct field {name}[] = {{"]
    out += [f"    {{{', '.join(_field(field, struct))}}}," for field in fields]
    return [*out, "};", ""]


def _field(field: Field, struct: str) -> list[str]:
    kind = field.type
    out = [f".name = {quoted(field.name)}", f".type = {FIELD_TYPES[kind.kind]}"]
    if kind.item:
        out.append(f".item = {FIELD_TYPES[kind.item.kind]}")
        kind = kind.item
    if kind.kind is Kind.ENUM:
        out.append(f".enumeration = &matrix_enum_{kind.name}")
    if kind.kind is Kind.RECORD:
        out.append(f".record = &matrix_record_{kind.name}")
    if kind.kind is Kind.INT:
        out.append(f".least = {_int64(field.least, 'INT64_MIN')}")
        out.append(f".most = {_int64(field.most, 'INT64_MAX')}")
    out.append(f".required = {str(field.required).lower()}")
    out.append(f".secret = {str(field.secret).lower()}")
    if struct:
        out.append(f".offset = offsetof({struct}, {field.name})")
        flag = f"offsetof({struct}, has_{field.name})" if has_flag(field) else "SIZE_MAX"
        out.append(f".has_offset = {flag}")
    return out


def _int64(value: int | None, otherwise: str) -> str:
    if value is None or value == -(2**63):  # which C cannot write
        return otherwise
    return str(value)


def _reference(name: str, fields: tuple[Field, ...]) -> str:
    return f"{{{name if fields else 'NULL'}, {len(fields)}}}"


def _operations(operations: list[Operation]) -> list[str]:
    out = ["const struct operation matrix_operations[] = {"]
    for operation in operations:
        name = operation.name
        out += [
            f"    [OPERATION_{name.upper()}] = {{",
            f"        .name = {quoted(name)},",
            f"        .arguments = {_reference(f'{name}_arguments', operation.args)},",
            f"        .options = {_reference(f'{name}_options', operation.options)},",
            f"        .has_progress = {str(bool(operation.progress)).lower()},",
            "    },",
        ]
    return [*out, "};", "const size_t matrix_operation_count = OPERATION_COUNT;", ""]


def _events(events: tuple[Event, ...]) -> list[str]:
    out = ["const struct event_kind matrix_event_kinds[] = {"]
    for event in events:
        filter_reference = _reference(f"{event.name}_filter", event.filter)
        out.append(
            f"    {{.name = {quoted(event.name)}, .filter = {filter_reference}, "
            f".payload = &matrix_record_{event.payload}}},"
        )
    return [*out, "};", f"const size_t matrix_event_kind_count = {len(events)};", ""]


def _errors(api: Api) -> list[str]:
    out = ["const struct error_code matrix_error_codes[] = {"]
    out += [f"    {{{quoted(name)}, MATRIX_{name}}}," for name in api.errors]
    return [*out, "};", f"const size_t matrix_error_code_count = {len(api.errors)};"]
