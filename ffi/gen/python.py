"""table_gen.py: the list as msgspec structs, for the runtime to decode into and encode from."""

from __future__ import annotations

from .model import Api, Enumeration, Field, Kind, Operation, Record, Type
from .names import camel
from .text import NOTE, lines, quoted, wrap

HEAD = f'''\
# {NOTE}
"""The list of operations, events, records, enums and errors, as the runtime sees it.

Absent options and fields are None; an absent `json` option is an empty, false `Raw`. Structs that
carry secrets do not show them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from msgspec import Raw, Struct


def _shown(struct: Struct, secrets: frozenset[str]) -> str:
    """A struct as text, its secrets left out."""
    names = struct.__struct_fields__
    parts = (f"{{n}}={{'***' if n in secrets else repr(getattr(struct, n))}}" for n in names)
    return f"{{type(struct).__name__}}({{', '.join(parts)}})"


class Input(Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """What comes from the host: arguments, options, filters."""

    SECRETS: ClassVar[frozenset[str]] = frozenset()

    def __repr__(self) -> str:
        return _shown(self, self.SECRETS)


class Output(Struct, omit_defaults=True, gc=False):
    """What goes to the host: results, progress, records. What is None is left out."""

    SECRETS: ClassVar[frozenset[str]] = frozenset()

    def __repr__(self) -> str:
        return _shown(self, self.SECRETS)
'''.splitlines()

SPECS = '''\
@dataclass(frozen=True)
class OperationSpec:
    """One operation: where its coroutine is and what it takes and gives."""

    name: str
    area: str
    arguments: type[Input]
    result: type[Output]
    progress: type[Output] | None
    secrets: frozenset[str]


@dataclass(frozen=True)
class EventSpec:
    """A kind of event a subscription can ask for."""

    name: str
    filter: type[Input]
    payload: type[Output]
'''.splitlines()

INPUT = "Input, frozen=True, kw_only=True"
RESULT = "Output, kw_only=True"

PLAIN = {
    Kind.BOOL: "bool",
    Kind.INT: "int",
    Kind.DOUBLE: "float",
    Kind.STRING: "str",
    Kind.BYTES: "bytes",
    Kind.JSON: "Raw",
}


def table(api: Api) -> str:
    """The whole module."""
    out = list(HEAD)
    out += ["", "", *_literal("ErrorCode", tuple(api.errors))]
    out += ["", "ERROR_STATUS: dict[str, int] = {"]
    out += [f"    {quoted(error.name)}: {error.status}," for error in api.errors.values()]
    out += ["}", '"""The number of each of libmatrix\'s own codes in C."""']
    for enumeration in api.enums.values():
        out += ["", *_enumeration(enumeration)]
    for record in api.records.values():
        out += _record(record)
    for options in api.settings:
        out += _struct(f"{camel(options.name)}Options", INPUT, options.doc, options.fields)
    for event in api.events:
        doc = f"Filter of the event kind {event.name}."
        out += _struct(f"{camel(event.name)}Filter", INPUT, doc, event.filter)
    for operation in api.operations:
        out += _operation(operation)
    out += ["", "", *SPECS, "", "", "OPERATIONS: dict[str, OperationSpec] = {"]
    for operation in api.operations:
        out += _operation_spec(operation)
    out += ["}", '"""Every operation by name."""', "", "EVENTS: dict[str, EventSpec] = {"]
    for event in api.events:
        spec = f"{quoted(event.name)}, {camel(event.name)}Filter, {camel(event.payload)}"
        out.append(f"    {quoted(event.name)}: EventSpec({spec}),")
    return lines(out, ["}", '"""Every kind of event by name."""'])


def _literal(name: str, values: tuple[str, ...]) -> list[str]:
    return [f"{name} = Literal[", *(f"    {quoted(value)}," for value in values), "]"]


def _enumeration(enumeration: Enumeration) -> list[str]:
    return [
        *_literal(camel(enumeration.name), enumeration.values),
        f'"""{enumeration.doc}"""',
    ]


def _operation(operation: Operation) -> list[str]:
    name, text = camel(operation.name), operation.name
    doc = f"Arguments and options of {text}."
    out = _struct(f"{name}Arguments", INPUT, doc, operation.inputs)
    out += _struct(f"{name}Result", RESULT, f"Result of {text}.", operation.result)
    if operation.progress:
        doc = f"Progress of {text}."
        out += _struct(f"{name}Progress", RESULT, doc, operation.progress)
    return out


def _record(record: Record) -> list[str]:
    """Required fields first, so that it can be made by position: that takes a third of the time."""
    fields = tuple(sorted(record.fields, key=lambda field: not field.required))
    return _struct(camel(record.name), "Output", record.doc, fields)


def _struct(name: str, base: str, doc: str, fields: tuple[Field, ...]) -> list[str]:
    out = ["", "", f"class {name}({base}):", f'    """{doc}"""']
    secrets = tuple(field.name for field in fields if field.secret)
    if secrets:
        out += ["", *_secrets(secrets)]
    if fields:
        out.append("")
    for field in fields:
        out += wrap(field.doc, "    # ")
        out.append(f"    {field.name}: {_annotation(field, base)}")
    return out


def _secrets(names: tuple[str, ...]) -> list[str]:
    """As ruff formats it: on one line where that fits."""
    line = f"    SECRETS: ClassVar[frozenset[str]] = {_frozenset(names)}"
    if len(line) <= 100:
        return [line]
    inner = f"        {{{', '.join(map(quoted, names))}}}"
    return ["    SECRETS: ClassVar[frozenset[str]] = frozenset(", inner, "    )"]


def _frozenset(names: tuple[str, ...]) -> str:
    if not names:
        return "frozenset()"
    return f"frozenset({{{', '.join(map(quoted, names))}}})"


def _annotation(field: Field, base: str) -> str:
    text = _type(field.type)
    if field.required:
        return text
    if field.default is not None:
        default = quoted(field.default) if isinstance(field.default, str) else repr(field.default)
        return f"{text} = {default}"
    if field.type.kind is Kind.JSON and base is INPUT:
        return "Raw = Raw()"
    return f"{text} | None = None"


def _type(kind: Type) -> str:
    if kind.item is not None:
        return f"list[{_type(kind.item)}]"
    return PLAIN.get(kind.kind) or camel(kind.name)


def _operation_spec(operation: Operation) -> list[str]:
    name = camel(operation.name)
    secrets = tuple(field.name for field in operation.inputs if field.secret)
    return [
        f"    {quoted(operation.name)}: OperationSpec(",
        f"        name={quoted(operation.name)},",
        f"        area={quoted(operation.area)},",
        f"        arguments={name}Arguments,",
        f"        result={name}Result,",
        f"        progress={f'{name}Progress' if operation.progress else None},",
        f"        secrets={_frozenset(secrets)},",
        "    ),",
    ]
