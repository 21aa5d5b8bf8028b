"""status.gen.h and records.gen.h: error codes, enums and plain structs."""

from __future__ import annotations

from .c_common import GUARD_CHECK, call, has_flag, member_type
from .model import Api, Enumeration, Field, Kind, Record
from .text import C_BANNER, doc_comment, lines, paragraph

RECORDS_PROSE = (
    "Plain structs for what C programs read all the time. They are reached by pointer only and "
    "grow at the end only: never copy or make one. A string that is not there is NULL, a number "
    "that is not there has a has_ member that is false, an enum that is not there is 0; lists, "
    "maps and nested records are values. Everything lives as long as the reply it was read from."
)


def status_header(api: Api) -> str:
    """Error codes and enums."""
    out = [*C_BANNER.splitlines(), "#ifndef MATRIX_STATUS_GEN_H", "#define MATRIX_STATUS_GEN_H", ""]
    out += [*GUARD_CHECK, ""]
    text = (
        "What a function returns: MATRIX_OK, or a negative number that says why it refused. "
        "Numbers are never used again; programs should be ready for ones they do not know."
    )
    out += doc_comment(text)
    out += ["typedef enum matrix_status {", "    /** Done, or accepted. */", "    MATRIX_OK = 0,"]
    errors = list(api.errors.values())
    for error in errors:
        comma = "" if error is errors[-1] else ","
        out += doc_comment(error.doc, "    ")
        out.append(f"    MATRIX_{error.name} = {error.status}{comma}")
    out += ["} matrix_status;", ""]
    text = (
        'The error code as it is in replies, as "E_TIMEOUT"; "OK" for MATRIX_OK; "E_UNKNOWN" for '
        "a number this library does not know. Static."
    )
    out += doc_comment(text)
    out.append("MATRIX_API const char *matrix_status_string(matrix_status status);")
    for enumeration in api.enums.values():
        out += ["", *_enumeration(enumeration)]
    return lines(out, ["", "#endif"])


def _enumeration(enumeration: Enumeration) -> list[str]:
    prefix = f"MATRIX_{enumeration.name.upper()}"
    out = doc_comment(enumeration.doc)
    out.append(f"typedef enum matrix_{enumeration.name} {{")
    out.append("    /** None, or one this library does not know. */")
    out.append(f"    {prefix}_UNKNOWN = 0,")
    for number, value in enumerate(enumeration.values, 1):
        comma = "" if number == len(enumeration.values) else ","
        out.append(f"    {prefix}_{value.upper()} = {number}{comma}")
    out += [f"}} matrix_{enumeration.name};", ""]
    example = enumeration.values[0]
    out += doc_comment(f'As text, as "{example}"; "unknown" for every other number. Static.')
    signature = f"MATRIX_API const char *matrix_{enumeration.name}_string"
    return out + call(signature, [f"matrix_{enumeration.name} value"], ";")


def records_header(api: Api) -> str:
    """Plain structs."""
    out = [*C_BANNER.splitlines(), "#ifndef MATRIX_RECORDS_GEN_H"]
    out += ["#define MATRIX_RECORDS_GEN_H", "", *GUARD_CHECK, ""]
    out += ["/*", " * RECORDS", " *"]
    out += [*(f" * {line}" for line in paragraph(RECORDS_PROSE)), " */"]
    for record in api.records.values():
        out += ["", *_struct(record)]
    for record in api.records.values():
        out += ["", *_reader(record)]
    return lines(out, ["", "#endif"])


def _struct(record: Record) -> list[str]:
    out = [*doc_comment(record.doc), f"typedef struct matrix_{record.name} {{"]
    if record.name == "error":
        text = "the code as a number; MATRIX_E_HOMESERVER for the homeserver's own codes"
        out += [*doc_comment(text, "    "), "    matrix_status status;"]
    for field in record.fields:
        out += doc_comment(_member_doc(field), "    ")
        if has_flag(field):
            out.append(f"    bool has_{field.name};")
        out.append(f"    {member_type(field)}{field.name};")
    return [*out, f"}} matrix_{record.name};"]


def _member_doc(field: Field) -> str:
    text = field.doc
    if field.type.kind is Kind.BYTES:
        text += " (base64)"
    elif field.type.kind in (Kind.LIST, Kind.RECORD):
        text += f" ({field.type})"
    if not field.required:
        text += "; may be absent"
    return text


def _reader(record: Record) -> list[str]:
    text = (
        "`value`, a map inside `reply`, as a plain struct; NULL when it is NULL or no map, or "
        "memory is short. Lives as long as the reply; the same value gives the same pointer."
    )
    signature = f"MATRIX_API const matrix_{record.name} *matrix_reply_as_{record.name}"
    arguments = ["const matrix_reply *reply", "const matrix_value *value"]
    return doc_comment(text) + call(signature, arguments, ";")
