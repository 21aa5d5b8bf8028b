"""matrix.gen.lua: LuaCATS annotations, by which editors complete and check."""

from __future__ import annotations

from pathlib import Path

from .model import Api, Event, Field, Kind, Operation, Type
from .names import camel
from .text import NOTE, lines, quoted, range_text, spec_url

HEAD = f"""\
---@meta matrix
-- SPDX-License-Identifier: Apache-2.0
-- {NOTE}
""".splitlines()

MODULE = Path(__file__).with_name("module_types.lua")

PLAIN = {
    Kind.BOOL: "boolean",
    Kind.INT: "integer",
    Kind.DOUBLE: "number",
    Kind.STRING: "string",
    Kind.BYTES: "string",
    Kind.JSON: "any",
}


def types(api: Api) -> str:
    """The whole file."""
    out = [*HEAD, ""]
    for enumeration in api.enums.values():
        values = "|".join(map(quoted, enumeration.values))
        out += [f"---{enumeration.doc}", f"---@alias matrix.{camel(enumeration.name)} {values}", ""]
    for record in api.records.values():
        out += _class(camel(record.name), record.doc, record.fields)
    for options in api.settings:
        out += _class(f"{camel(options.name)}Options", options.doc, options.fields)
    for event in api.events:
        doc = f"Filter of the event {event.name}."
        out += _class(f"{camel(event.name)}Filter", doc, event.filter)
    written = MODULE.read_text("utf-8").splitlines()
    out += [*written[2:], ""]
    for operation in api.operations:
        out += _operation(operation)
    out += _subscribe(api.events)
    return lines(out, ["return matrix"])


def _class(name: str, doc: str, fields: tuple[Field, ...], base: str = "") -> list[str]:
    parent = f": matrix.{base}" if base else ""
    out = [f"---{doc}", f"---@class matrix.{name}{parent}"]
    return [*out, *map(_field, fields), ""]


def _field(field: Field) -> str:
    mark = "" if field.required else "?"
    limits = range_text(field)
    about = f"{field.doc} ({limits})" if limits else field.doc
    return f"---@field {field.name}{mark} {_type(field.type)} {about}"


def _type(kind: Type) -> str:
    if kind.item is not None:
        return f"{_type(kind.item)}[]"
    return PLAIN.get(kind.kind) or f"matrix.{camel(kind.name)}"


def _operation(operation: Operation) -> list[str]:
    name = camel(operation.name)
    options = f"matrix.{name}Options" if operation.options or operation.progress else ""
    callback = f"fun(payload: matrix.{name}Payload)"
    out = _classes(operation)
    out.append(f"---{operation.doc}")
    if operation.spec:
        out.append(f"---[Specification]({spec_url(operation.spec)})")
    if operation.errors:
        out += ["---", f"---Errors: {', '.join(operation.errors)}"]
    out += [f"---@param {field.name} {_type(field.type)} {field.doc}" for field in operation.args]
    if options:
        out.append(f"---@param options? {options}")
    out.append(f"---@return matrix.{name}Payload payload only inside `matrix.run`")
    out += _overloads(operation, [f"callback: {callback}"])
    if options:
        out += _overloads(operation, [f"options: {options}?", f"callback: {callback}"])
    arguments = [field.name for field in operation.args] + (["options"] if options else [])
    return [*out, f"function Client:{operation.name}({', '.join(arguments)}) end", ""]


def _classes(operation: Operation) -> list[str]:
    name, text = camel(operation.name), operation.name
    out: list[str] = []
    if operation.progress:
        out += _class(f"{name}Progress", f"Progress of {text}.", operation.progress)
    if operation.options or operation.progress:
        out += _class(f"{name}Options", f"Options of {text}.", operation.options)
    if operation.progress:
        report = f"---@field on_progress? fun(progress: matrix.{name}Progress) how far it is"
        out.insert(-1, report)
    return out + _class(f"{name}Payload", f"Outcome of {text}.", operation.result, "Payload")


def _overloads(operation: Operation, last: list[str]) -> list[str]:
    arguments = [f"{field.name}: {_type(field.type)}" for field in operation.args]
    listed = ", ".join(["self: matrix.Client", *arguments, *last])
    return [f"---@overload fun({listed}): matrix.Request"]


def _subscribe(events: tuple[Event, ...]) -> list[str]:
    out = ["---Gives events to `callback`."]
    for event in events:
        out += ["---", f"---{quoted(event.name)}: {event.doc}"]
    out += ["---@param kind string", "---@param filter? table"]
    out += ["---@param callback fun(event: table)", "---@return matrix.Subscription"]
    for event in events:
        callback = f"callback: fun(event: matrix.{camel(event.payload)})"
        start = f"---@overload fun(self: matrix.Client, kind: {quoted(event.name)}"
        options = f"filter: matrix.{camel(event.name)}Filter?"
        out.append(f"{start}, {callback}): matrix.Subscription")
        out.append(f"{start}, {options}, {callback}): matrix.Subscription")
    return [*out, "function Client:subscribe(kind, filter, callback) end", ""]
