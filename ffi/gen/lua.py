"""operations.gen.lua: the list as the Lua half of the module checks and offers calls by it."""

from __future__ import annotations

from .model import Api, Field, Kind, Operation
from .text import NOTE, lines, quoted

HEAD = f"""\
-- SPDX-License-Identifier: Apache-2.0
-- {NOTE}
--
-- A field has name and type (bool, int, double, string, bytes, json, enum, record, list), for a
-- list item (the same without list), for enum and record (alone or as item) the enum's or record's
-- name, least and most where it is limited, and required and secret where they are true.
local list = {{}}
""".splitlines()


def table(api: Api) -> str:
    """The whole chunk; it returns one table."""
    out = [*HEAD, "", "-- Texts in order; C counts them from 1.", "list.enums = {"]
    for enumeration in api.enums.values():
        out.append(f"  {enumeration.name} = {{ {', '.join(map(quoted, enumeration.values))} }},")
    out += ["}", "", "-- Our own error codes with their numbers in C.", "list.errors = {"]
    out += [f"  {error.name} = {error.status}," for error in api.errors.values()]
    out += ["}", "", "list.records = {"]
    for record in api.records.values():
        out += _fields(record.name, record.fields, "  ")
    out += ["}", ""]
    for options in api.settings:
        out += [*_fields(f"list.{options.name}_options", options.fields, "", end=""), ""]
    out += ["list.events = {"]
    for event in api.events:
        out.append(f"  {event.name} = {{")
        out.append(f"    payload = {quoted(event.payload)},")
        out += [*_fields("filter", event.filter, "    "), "  },"]
    out += ["}", "", "-- arguments are by position, options by key.", "list.operations = {"]
    for operation in api.operations:
        out += _operation(operation)
    out += ["}", "", "list.operation_names = {"]
    out += [f"  {quoted(operation.name)}," for operation in api.operations]
    return lines(out, ["}", "", "return list"])


def _operation(operation: Operation) -> list[str]:
    return [
        f"  {operation.name} = {{",
        f"    name = {quoted(operation.name)},",
        *_fields("arguments", operation.args, "    "),
        *_fields("options", operation.options, "    "),
        *_fields("result", operation.result, "    "),
        *(_fields("progress", operation.progress, "    ") if operation.progress else []),
        "  },",
    ]


def _fields(name: str, fields: tuple[Field, ...], indent: str, end: str = ",") -> list[str]:
    if not fields:
        return [f"{indent}{name} = {{}}{end}"]
    body = [f"{indent}  {{ {', '.join(_field(field))} }}," for field in fields]
    return [f"{indent}{name} = {{", *body, f"{indent}}}{end}"]


def _field(field: Field) -> list[str]:
    kind = field.type
    out = [f"name = {quoted(field.name)}", f"type = {quoted(kind.kind.value)}"]
    if kind.item:
        kind = kind.item
        out.append(f"item = {quoted(kind.kind.value)}")
    if kind.kind in (Kind.ENUM, Kind.RECORD):
        out.append(f"{kind.kind.value} = {quoted(kind.name)}")
    limits = (("least", field.least), ("most", field.most))
    out += [f"{word} = {value}" for word, value in limits if value is not None]
    out += [f"{word} = true" for word in ("required", "secret") if getattr(field, word)]
    return out
